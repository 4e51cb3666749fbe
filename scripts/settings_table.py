"""Writes docs/settings.md from remuda/settings.py: `python scripts/settings_table.py > docs/settings.md`."""

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from remuda import settings
from remuda.human import go_duration
from remuda.settings import Settings

HEAD = """\
# Settings

Environment variables, read once when a process starts. `OLLAMA_*` have Ollama's names, meanings and ways of writing;
`REMUDA_*` are Remuda's own. Durations are written as in Go (`300ms`, `5m`) or as a number of seconds. A value that
cannot be read, or is out of its bounds, gives a warning and the default.

Written by `scripts/settings_table.py` from `remuda/settings.py`.

| variable | default | bounds | meaning |
|---|---|---|---|
"""

OLLAMA_MEANINGS = {
    "OLLAMA_HOST": "Where to listen, and where the command finds the server: host, host:port, an IPv6 address or "
    "a URL. An empty host (`:11434`) means all addresses.",
    "OLLAMA_MODELS": "The models folder, in Ollama's layout.",
    "OLLAMA_KEEP_ALIVE": "How long a model stays loaded after its last request; 0 = not at all, negative = for ever.",
    "OLLAMA_LOAD_TIMEOUT": "How long a load may go on without progress; 0 or negative = for ever.",
    "OLLAMA_SCHED_SPREAD": "Spread every model over all GPUs of a machine instead of one.",
    "OLLAMA_FLASH_ATTENTION": "Flash attention on or off; unset: the engine's choice.",
    "OLLAMA_KV_CACHE_TYPE": "Type of the KV cache. All but `f32`, `f16` and `bf16` need flash attention: with "
    "OLLAMA_FLASH_ATTENTION=0 they give a warning and `f16`.",
    "OLLAMA_ORIGINS": "Further origins that browsers may call from, separated by commas.",
    "OLLAMA_DEBUG": "1 for debug logs, 2 for more; negative numbers for fewer.",
    "OLLAMA_GO_TEMPLATE": "Prefer a model's Go template to its Jinja template, or never use it; unset: by capability.",
    "OLLAMA_NO_CLOUD": "Refuse models that are hosted elsewhere. None are served yet.",
}
"""What Ollama's own documentation says and `remuda/settings.py` need not repeat."""


def main() -> None:
    sys.stdout.write(render())


def render() -> str:
    """The whole page."""
    said = docstrings()
    return HEAD + "".join(row(name, field, said.get(name, "")) for name, field in Settings.model_fields.items())


def row(name: str, field: FieldInfo, said: str) -> str:
    variable = str(field.validation_alias)
    meaning = said or OLLAMA_MEANINGS[variable]
    default = default_text(name, field.get_default(call_default_factory=True))
    return f"| `{variable}` | {default} | {Settings.bounds(name)} | {meaning} |\n"


def default_text(name: str, value: Any) -> str:
    """A default as an operator would write it."""
    if name == "embedded_model":
        value = Path(value)
    if name.endswith("_ns"):
        return f"`{go_duration(value)}`"
    if isinstance(value, Path):
        return f"`{portable(value)}`"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None or value == () or value == "" else f"`{value}`"


def portable(path: Path) -> str:
    """A default path as it reads on every machine."""
    if path == Settings.model_fields["run_dir"].default:
        return "/tmp/remuda-UID"
    for folder, word in ((Path(settings.__file__).parents[2], ""), (Path.home(), "~/")):
        if path.is_relative_to(folder):
            return f"{word}{path.relative_to(folder)}"
    return str(path)


def docstrings() -> dict[str, str]:
    """The string below each field of Settings, on one line."""
    (body,) = [node.body for node in ast.parse(inspect.getsource(Settings)).body if isinstance(node, ast.ClassDef)]
    said: dict[str, str] = {}
    for node, after in pairwise(body):
        match node, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                said[name] = " ".join(text.split())
            case _:
                pass
    return said


if __name__ == "__main__":
    main()
