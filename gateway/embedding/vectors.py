"""Vectors: read from a worker's frame, checked, scaled to length 1, shortened, and written as JSON or base64."""

import base64
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from gateway.errors import failed

Vector: TypeAlias = NDArray[np.float32]
"""(width,)"""

SMALLEST_NORM = 1e-12
"""Leaves a vector of zeros as it is."""


def read_vector(data: bytes) -> Vector:
    """A vector from the wire. Raises GatewayError where a component is no finite number."""
    vector = np.frombuffer(data, np.dtype("<f4"))
    if not np.isfinite(vector).all():
        raise failed("embedding contains NaN or Inf values")
    return vector


def scaled(vector: Vector) -> Vector:
    """The vector with the Euclidean length 1."""
    length = float(np.sqrt(np.square(vector, dtype=np.float64).sum()))
    return (vector / max(length, SMALLEST_NORM)).astype(np.float32)


def shortened(vector: Vector, dimensions: int) -> Vector:
    """The first `dimensions` components, scaled again. The vector itself where it has no more than that."""
    return scaled(vector[:dimensions]) if 0 < dimensions < len(vector) else vector


def vectors_json(vectors: Sequence[Vector]) -> bytes:
    """JSON: a list of lists, numbers with the digits that single precision needs."""
    return orjson.dumps(list(vectors), option=orjson.OPT_SERIALIZE_NUMPY)


def vector_json(vector: Vector) -> bytes:
    """JSON: a list of numbers with the digits that double precision needs."""
    return orjson.dumps(vector.astype(np.float64), option=orjson.OPT_SERIALIZE_NUMPY)


def vector_base64(vector: Vector) -> str:
    """Little-endian single precision in standard base64."""
    return base64.b64encode(vector.astype(np.dtype("<f4")).tobytes()).decode()
