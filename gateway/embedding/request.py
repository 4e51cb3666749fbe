"""A request for embeddings and its reply, as every surface states them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.embedding.vectors import Vector
from gateway.errors import ErrorKind


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """One request. Its inputs become a vector each."""

    model: str
    """The name as the client wrote it; replies and error texts repeat it."""
    inputs: tuple[str, ...]
    """Empty = load the model."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    keep_alive_ns: int | None = None
    truncate: bool = True
    normalise: bool = True
    dimensions: int = 0
    """Length of the vectors where it is positive and less than the model's."""
    failure: ErrorKind = ErrorKind.INVALID
    """The kind of error that a failure of the worker is to the client."""


@dataclass(frozen=True, slots=True)
class EmbeddingReply:
    """Vectors in the order of the inputs. Durations are nanoseconds; 0 = not reported."""

    vectors: list[Vector]
    prompt_eval_count: int = 0
    total_ns: int = 0
    load_ns: int = 0
