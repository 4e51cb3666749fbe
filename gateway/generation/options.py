"""Ollama's options: read with its type rules, merged by precedence, bounded, and turned into what the worker needs."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

from gateway.errors import mistyped
from remuda.logs import get_logger
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire

log = get_logger()

MIN_CONTEXT = 4
MIN_VISION_CONTEXT = 2048
MAX_INT = (1 << 31) - 1
MAX_CONTEXT = 1 << 22
"""Tokens of a context at most: llama.cpp counts the cells of all slots (256 at most) in an int32. No model is trained
on so many."""
MAX_SEED = (1 << 63) - 1
MAX_FLOAT = 3.0e38
"""Float32's range, a little inside."""
AUTO = -1
"""num_gpu: as many layers as fit. Other negative numbers mean the same, and must not ask for another replica."""
MAX_THREADS = 512
"""llama.cpp's own bound (GGML_MAX_N_THREADS)."""
UNLIMITED_CONTEXTS = 10
"""Without a limit of its own a reply is this many contexts long at most."""

IGNORED = frozenset(
    {
        "tfs_z",
        "penalize_newline",
        "numa",
        "low_vram",
        "f16_kv",
        "vocab_only",
        "use_mlock",
        "logits_all",
    }
)
"""Options that Ollama's clients send and that have no effect."""
LOGGED_OPTIONS = 8
LOGGED_NAME = 64
"""How many unknown options a warning names, and with how many characters: names are the client's words."""


@dataclass(frozen=True, slots=True)
class Options:
    """All options of one request. Names and defaults are Ollama's, those of mirostat llama-server's."""

    num_ctx: int = 0
    num_batch: int = 0
    num_gpu: int = AUTO
    main_gpu: int | None = None
    use_mmap: bool | None = None
    num_thread: int = 0
    draft_num_predict: int | None = None
    """Tokens drafted for one step at most. Unset, the worker chooses; Ollama reloads the model to change it."""
    num_keep: int = 4
    num_predict: int = -1
    seed: int = -1
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    stop: tuple[str, ...] = ()

    def load_options(self) -> pb.LoadOptions:
        """The options to load a replica with. A batch takes memory, so it is never larger than a context."""
        return pb.LoadOptions(
            num_ctx=self.num_ctx,
            num_batch=min(max(self.num_batch, 0), self.num_ctx),
            num_gpu=max(self.num_gpu, AUTO),
            main_gpu=self.main_gpu,
            use_mmap=self.use_mmap,
            num_thread=min(max(self.num_thread, 0), MAX_THREADS),
        )

    def sampling(self) -> wire.Sampling:
        """The sampling parameters, with a random seed where the client gave none."""
        fields = {name: getattr(self, name) for name in wire.Sampling.DESCRIPTOR.fields_by_name}
        fields["temperature"] = max(self.temperature, 0.0)
        fields["seed"] = secrets.randbits(63) if self.seed == -1 else self.seed & MAX_SEED
        return wire.Sampling(**fields)

    @property
    def draft_tokens(self) -> int | None:
        """Tokens drafted for one step at most; None = the worker's choice."""
        return None if self.draft_num_predict is None else max(self.draft_num_predict, 0)

    @property
    def max_tokens(self) -> int:
        """Tokens of the reply at most."""
        limit = UNLIMITED_CONTEXTS * self.num_ctx
        return min(self.num_predict, limit) if self.num_predict > 0 else limit


@dataclass(frozen=True, slots=True)
class ContextBounds:
    """The bounds that model and machine set to num_ctx, in tokens."""

    default: int
    trained: int
    """0 = unknown."""
    minimum: int = MIN_CONTEXT
    cells: int = 0
    """Cells of the KV cache for all requests together; 0 = as many as num_ctx asks for."""

    def apply(self, num_ctx: int) -> int:
        size = max(num_ctx or self.default, self.minimum)
        return min(size, self.trained or MAX_CONTEXT, self.cells or MAX_CONTEXT, MAX_CONTEXT)


def resolve_options(model: Mapping[str, Any], request: Mapping[str, Any], bounds: ContextBounds) -> Options:
    """The request's options over the model's over the defaults. Raises GatewayError for a value of the wrong type."""
    values = _read(model) | _read(request)
    values["num_ctx"] = bounds.apply(values.get("num_ctx", 0))
    return Options(**values)


def _read(options: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in options.items():
        if name in _READERS and value is not None:
            values[name] = _READERS[name](name, value)
    _warn_of_unknown([name for name in options if name not in _READERS and name not in IGNORED])
    return values


def _warn_of_unknown(names: Sequence[str]) -> None:
    if names:
        first = [name[:LOGGED_NAME] for name in names[:LOGGED_OPTIONS]]
        log.warning("unknown options", options=first, count=len(names))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(name: str, value: Any) -> int:
    if not _is_number(value):
        raise mistyped(f'option "{name}" must be of type integer')
    bound = MAX_SEED if name == "seed" else MAX_INT
    return int(min(max(value, -bound), bound))


def _float(name: str, value: Any) -> float:
    if not _is_number(value):
        raise mistyped(f'option "{name}" must be of type float32')
    return float(min(max(value, -MAX_FLOAT), MAX_FLOAT))


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise mistyped(f'option "{name}" must be of type boolean')
    return value


def _strings(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise mistyped(f'option "{name}" must be of type array')
    items = cast("list[Any]", value)
    if not all(isinstance(item, str) for item in items):
        raise mistyped(f'option "{name}" must be of an array of strings')
    return tuple(items)


_READERS_BY_TYPE = {
    int: _integer,
    int | None: _integer,
    float: _float,
    bool | None: _boolean,
    tuple[str, ...]: _strings,
}
_READERS = {field.name: _READERS_BY_TYPE[cast(Any, field.type)] for field in fields(Options)}
