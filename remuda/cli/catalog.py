"""`remuda list`, `ps` and `stop`."""

from datetime import UTC, datetime
from typing import Any

from remuda.cli.client import ModelNotFoundError, open_client
from remuda.cli.errors import CommandError
from remuda.cli.tables import render_table
from remuda.human import human_bytes, human_time


def print_models(prefix: str) -> None:
    """Prints the installed models whose name begins with `prefix`, whatever its case."""
    with open_client() as client:
        models = client.get("/api/tags")["models"]
    now = datetime.now(UTC)
    matches = [model for model in models if model["name"].lower().startswith(prefix.lower())]
    print(render_table(("NAME", "ID", "SIZE", "MODIFIED"), [_model_row(model, now) for model in matches]))


def print_residents(prefix: str) -> None:
    """Prints the loaded models whose name begins with `prefix`."""
    with open_client() as client:
        models = client.get("/api/ps")["models"]
    now = datetime.now(UTC)
    matches = [model for model in models if model["name"].startswith(prefix)]
    header = ("NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL")
    print(render_table(header, [_resident_row(model, now) for model in matches]))


def stop_model(model: str) -> None:
    """Unloads a model. Raises CommandError if no model has that name."""
    with open_client() as client:
        try:
            client.post("/api/show", {"model": model})
            client.post("/api/generate", {"model": model, "keep_alive": 0, "stream": False})
        except ModelNotFoundError as error:
            raise CommandError(f'couldn\'t find model "{model}" to stop') from error


def processor(size: int, size_vram: int) -> str:
    """The shares of a model's bytes in RAM and on GPUs: `100% GPU`, `25%/75% CPU/GPU`."""
    if size_vram == 0:
        return "100% CPU"
    if size_vram == size:
        return "100% GPU"
    if size == 0 or size_vram > size:
        return "Unknown"
    cpu = int((size - size_vram) / size * 100 + 0.5)
    return f"{cpu}%/{100 - cpu}% CPU/GPU"


def _model_row(model: dict[str, Any], now: datetime) -> tuple[str, ...]:
    size = "-" if model.get("remote_model") else human_bytes(model["size"])
    return model["name"], model["digest"][:12], size, human_time(parse_time(model["modified_at"]), now)


def _resident_row(model: dict[str, Any], now: datetime) -> tuple[str, ...]:
    expires = parse_time(model["expires_at"])
    return (
        model["name"],
        model["digest"][:12],
        human_bytes(model["size"]),
        processor(model["size"], model["size_vram"]),
        str(model["context_length"]),
        "Stopping..." if expires is not None and expires <= now else human_time(expires, now),
    )


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time with up to nine fractional digits; None for Go's zero time."""
    moment = datetime.fromisoformat(text)
    return None if moment.year <= 1 else moment
