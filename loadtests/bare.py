"""llama.cpp in this process, without a server: the base of the benchmark's own programs.

Such a program reads a Setup from the first line of its stdin, then one job from each line. It answers each job with one
line of JSON.
"""

import ctypes
import sys
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import llama_cpp.llama_cpp as _untyped
from pydantic import BaseModel

from loadtests.setup import Setup
from workers.engine.batch import Batch
from workers.engine.context import Context, ContextOptions
from workers.engine.model import Model, ModelOptions

C: Any = _untyped
WARNING = 3
"""ggml's level. Messages below it come with every decode, and take time."""

Row: TypeAlias = tuple[int, int, int, int]
"""(token, position, sequence, 1 = with logits)"""


def load_model(setup: Setup) -> Model:
    """Loads all layers on a GPU if there is one, as Remuda's worker and llama-server do."""
    return Model(ModelOptions(path=setup.model), lambda _: None)


def context_options(setup: Setup) -> ContextOptions:
    """Returns the options that Remuda's worker makes of the same settings."""
    return ContextOptions(
        sequences=setup.slots,
        ctx_per_sequence=setup.context,
        batch_tokens=setup.batch,
        threads=setup.threads,
        flash_attention=setup.flash_attention,
        kv_cache_type=setup.kv_cache_type,
    )


def tokenise(model: Model, text: str) -> list[int]:
    """Returns the tokens of a prompt, BOS included."""
    data = text.encode()
    tokens = (ctypes.c_int32 * (len(data) + 2))()
    vocabulary = C.llama_model_get_vocab(model.pointer)
    count = C.llama_tokenize(vocabulary, data, len(data), tokens, len(tokens), True, True)
    return list(tokens[:count])


class Bare:
    """A model and a context. The caller makes the batches."""

    def __init__(self, setup: Setup) -> None:
        self.model = load_model(setup)
        self.batch_tokens = setup.batch
        self._context = Context(self.model, context_options(setup))
        self._memory = C.llama_get_memory(self._context.pointer)
        self._batch = Batch(setup.batch)

    def clear(self) -> None:
        """Empties the KV cache."""
        C.llama_memory_clear(self._memory, True)

    def cut(self, sequence: int, length: int) -> None:
        """Cuts a sequence to its first `length` positions."""
        C.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def decode(self, rows: list[Row]) -> int:
        """Computes the rows and waits for the logits. Returns the nanoseconds."""
        began = time.perf_counter_ns()
        tokens, positions, sequences, wants = (list(column) for column in zip(*rows, strict=True))
        self._batch.fill(tokens, positions, sequences, wants)
        if (result := self._context.decode(self._batch)) != 0:
            sys.exit(f"llama_decode failed with code {result}")
        C.llama_synchronize(self._context.pointer)
        return time.perf_counter_ns() - began


@C.llama_log_callback
def warn(level: int, text: bytes, _: Any) -> None:
    """Writes warnings and errors of llama.cpp's log to stderr."""
    if level >= WARNING:
        sys.stderr.write(text.decode(errors="replace"))


def answer_jobs(begin: Callable[[Setup], Callable[[bytes], BaseModel]]) -> None:
    """Runs a program. `begin` loads what the Setup names, and returns the function that does a job."""
    C.llama_log_set(warn, None)
    answer = begin(Setup.model_validate_json(sys.stdin.buffer.readline()))
    for line in sys.stdin.buffer:
        print(answer(line).model_dump_json(), flush=True)
