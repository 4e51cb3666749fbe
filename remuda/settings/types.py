"""Turns the text of an environment variable into a value, or falls back to the default.

The rules are Ollama's: values are trimmed and may be quoted, an unreadable number falls back to the default with a
warning, an unreadable boolean counts as true. A number out of its bounds is treated as an unreadable one.
"""

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, ValidatorFunctionWrapHandler, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from remuda.cpu_lists import parse_cpu_sets
from remuda.durations import LONGEST, NANOSECONDS, parse_duration
from remuda.listen_address import ListenAddress

MIB, GIB = 1 << 20, 1 << 30
MAX_INT = (1 << 31) - 1
"""The largest number that llama.cpp and the kernel take where they count tokens or connections."""
MAX_LONG = (1 << 63) - 1
FALSE_WORDS = frozenset({"0", "f", "false"})
BOUND_WORDS = {"const": "", "minimum": "at least ", "exclusiveMinimum": "more than ", "maximum": "at most "}
"""The bounds of JSON schema in words."""


class InvalidSetting(UserWarning):
    """A variable had no usable value; its default holds."""


class LenientSettings(BaseSettings):
    """Settings with a default for each variable that has no usable value.

    Text is parsed and checked. Values of other types come from code and are kept as they are.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, enable_decoding=False, validate_default=False
    )

    @classmethod
    def bounds(cls, name: str) -> str:
        """The bounds of a field's value in words: "at least 1, at most 256"; "" where it has none."""
        variable = str(cls.model_fields[name].validation_alias)
        return _bounds(cls.model_json_schema()["properties"][variable])

    @field_validator("*", mode="wrap")
    @classmethod
    def _default_where_unusable(cls, value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        name = info.field_name or ""
        field = cls.model_fields[name]
        text = value.strip().strip("\"'").strip()
        try:
            if text:
                return read(text)
        except ValueError:
            bounds = f" ({words})" if (words := cls.bounds(name)) else ""
            warn(f"{field.validation_alias} has no usable value {text!r}{bounds}: its default is used")
        return field.get_default(call_default_factory=True)


def warn(message: str) -> None:
    """Issues an InvalidSetting warning. `remuda serve` logs it once for all processes."""
    warnings.warn(message, InvalidSetting, 3)


def _bounds(schema: Mapping[str, Any]) -> str:
    both = ", ".join(f"{word}{schema[key]}" for key, word in BOUND_WORDS.items() if key in schema)
    either = [words for each in schema.get("anyOf", ()) if (words := _bounds(each))]
    return both or " or ".join(either or schema.get("enum", ()))


def _unsigned(text: str) -> int:
    """Decimal digits alone, as Go reads them."""
    if not (text.isascii() and text.isdigit() and (number := int(text)) <= MAX_LONG):
        raise ValueError(text)
    return number


def _duration(text: str) -> int:
    try:
        nanoseconds = int(text) * NANOSECONDS["s"]
    except ValueError:
        return parse_duration(text)
    if abs(nanoseconds) > LONGEST:
        raise ValueError(text)
    return nanoseconds


def _level(text: str) -> int:
    """OLLAMA_DEBUG: 1 or true is debug, 2 is trace, negative numbers raise the threshold."""
    try:
        return int(text)
    except ValueError:
        return int(_flag(text))


def _flag(text: str) -> bool:
    return text.lower() not in FALSE_WORDS


def _host(text: str) -> str:
    """Raises ValueError for text that is no address."""
    ListenAddress.parse(text)
    return text


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # the home of `~user` is unknown
        raise ValueError(text) from error


def _proportions(text: str) -> tuple[float, ...]:
    """`3,1`: finite numbers that are not negative, and not all zero."""
    numbers = tuple(float(part) for part in text.split(","))
    if not all(0 <= number < math.inf for number in numbers) or not any(numbers):
        raise ValueError(text)
    return numbers


def _comma_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


Digits = BeforeValidator(_unsigned)
Duration = BeforeValidator(_duration)
Word = BeforeValidator(str.lower)
"""For a Literal: one of a few words, whatever their case."""

# Bounds stand before the reader. Only there do they reach the schema, from which `bounds` makes its words.
Flag = Annotated[bool, BeforeValidator(_flag)]
OptionalFlag = Annotated[bool | None, BeforeValidator(_flag)]
Unsigned = Annotated[int, Field(ge=0), Digits]
Positive = Annotated[int, Field(ge=1), Digits]
PositiveInt32 = Annotated[int, Field(ge=1, le=MAX_INT), Digits]
Nanoseconds = Annotated[int, Duration]
Period = Annotated[int, Field(gt=0), Duration]
Level = Annotated[int, BeforeValidator(_level)]
Folder = Annotated[Path, BeforeValidator(_folder)]
Host = Annotated[str, BeforeValidator(_host)]
CpuSets = Annotated[tuple[frozenset[int], ...], BeforeValidator(parse_cpu_sets)]
Proportions = Annotated[tuple[float, ...], BeforeValidator(_proportions)]
CommaSeparated = BeforeValidator(_comma_list)
CommaList = Annotated[tuple[str, ...], CommaSeparated]
