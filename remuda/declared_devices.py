"""Devices that an operator declares by hand (REMUDA_DEVICES)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from remuda.settings.types import MAX_INT, MAX_LONG

VARIABLE = "REMUDA_DEVICES"

Bytes = Annotated[int, Field(ge=0, le=MAX_LONG)]


class DeclaredDevice(BaseModel):
    """A device. Sizes are bytes."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: Annotated[str, Field(min_length=1)]
    kind: Literal["cpu", "cuda", "rocm", "vulkan", "metal", "sycl"]
    index: Annotated[int, Field(ge=0, le=MAX_INT)] | None = None
    name: str = ""
    total: Annotated[Bytes, Field(gt=0)]
    free: Bytes | None = None

    @model_validator(mode="after")
    def _fits(self) -> "DeclaredDevice":
        if self.kind != "cpu" and self.index is None:
            raise ValueError("a GPU needs an index")
        if self.kind == "cpu" and self.index:
            raise ValueError("the CPU has no index but 0")
        if self.free is not None and self.free > self.total:
            raise ValueError("more is free than there is in total")
        return self

    @property
    def bytes_free(self) -> int:
        return self.total if self.free is None else self.free


_DEVICES = TypeAdapter(tuple[DeclaredDevice, ...])


def parse_declared_devices(text: str) -> tuple[DeclaredDevice, ...] | None:
    """Reads the JSON list; None = nothing is declared. Raises ValueError with one line for the operator."""
    if not text:
        return None
    try:
        devices = _DEVICES.validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{VARIABLE}: {_words(error)}") from None
    if len({device.id for device in devices}) < len(devices):
        raise ValueError(f"{VARIABLE}: two devices have the same id")
    if len({(device.kind, device.index or 0) for device in devices}) < len(devices):
        raise ValueError(f"{VARIABLE}: two devices have the same kind and index")
    return devices


def _words(error: ValidationError) -> str:
    """The first error, and where it is: `1.total: Input should be greater than 0`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
