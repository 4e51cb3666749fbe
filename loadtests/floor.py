"""The floor: the same batches through bare `llama_decode`, without sampling, text, HTTP or other processes.

`python -m loadtests.floor`: a Setup in the first line of stdin, then one FloorJob a line; one FloorResult a line on
stdout. It makes its context as Remuda's worker does.
"""

import ctypes
import sys
import time
from collections.abc import Iterator
from typing import Any

import llama_cpp.llama_cpp as _untyped
from pydantic import BaseModel

from loadtests.setup import Setup
from workers.engine.context import Context, ContextOptions
from workers.engine.model import Model, ModelOptions
from workers.engine.rows import Batch

C: Any = _untyped
WARNING = 3
"""ggml's level; what is below is told for every decode, and telling takes time."""


class FloorJob(BaseModel):
    """Prompts to prefill together, then `tokens` - 1 decode steps for all of them (the prefill gives the first)."""

    prompts: list[str]
    tokens: int


class FloorResult(BaseModel):
    """Nanoseconds of the whole prefill and of each decode step."""

    prompt_tokens: int
    prefill_ns: int
    step_ns: list[int]


class Floor:
    """A model and a context of its own."""

    def __init__(self, setup: Setup) -> None:
        self._model = Model(ModelOptions(path=setup.model), lambda _: None)
        self._context = Context(
            self._model,
            ContextOptions(
                sequences=setup.slots,
                ctx_per_sequence=setup.context,
                batch_tokens=setup.batch,
                threads=setup.threads,
                flash_attention=setup.flash_attention,
                kv_cache_type=setup.kv_cache_type,
            ),
        )
        self._batch = Batch(setup.batch)
        self._batch_tokens = setup.batch

    def run(self, job: FloorJob) -> FloorResult:
        prompts = [self._tokenise(prompt) for prompt in job.prompts]
        C.llama_memory_clear(C.llama_get_memory(self._context.pointer), True)
        began = time.perf_counter_ns()
        for rows in prefill_steps(prompts, self._batch_tokens):
            self._decode(rows)
        prefilled = time.perf_counter_ns()
        lengths = [len(prompt) for prompt in prompts]
        step_ns = [self._step(prompts, lengths, step) for step in range(job.tokens - 1)]
        return FloorResult(prompt_tokens=sum(lengths), prefill_ns=prefilled - began, step_ns=step_ns)

    def _step(self, prompts: list[list[int]], lengths: list[int], step: int) -> int:
        """One token for every sequence; the prompt's own tokens serve again. Returns nanoseconds."""
        began = time.perf_counter_ns()
        self._decode(
            [
                (prompt[step % length], length + step, sequence, 1)
                for sequence, (prompt, length) in enumerate(zip(prompts, lengths, strict=True))
            ]
        )
        return time.perf_counter_ns() - began

    def _decode(self, rows: list[tuple[int, int, int, int]]) -> None:
        """Computes rows of (token, position, sequence, wants logits) and waits for the logits."""
        tokens, positions, sequences, wants = (list(column) for column in zip(*rows, strict=True))
        self._batch.fill(tokens, positions, sequences, wants)
        if (result := self._context.decode(self._batch)) != 0:
            sys.exit(f"llama_decode failed with code {result}")
        C.llama_synchronize(self._context.pointer)

    def _tokenise(self, text: str) -> list[int]:
        data = text.encode()
        tokens = (ctypes.c_int32 * (len(data) + 2))()
        vocabulary = C.llama_model_get_vocab(self._model.pointer)
        count = C.llama_tokenize(vocabulary, data, len(data), tokens, len(tokens), True, True)
        return list(tokens[:count])


def prefill_steps(prompts: list[list[int]], batch_tokens: int) -> Iterator[list[tuple[int, int, int, int]]]:
    """Equal chunks of all prompts at once, as Remuda's worker shares a batch out."""
    chunk = max(batch_tokens // len(prompts), 1)
    for start in range(0, max(len(prompt) for prompt in prompts), chunk):
        yield [
            (prompt[position], position, sequence, int(position == len(prompt) - 1))
            for sequence, prompt in enumerate(prompts)
            for position in range(start, min(start + chunk, len(prompt)))
        ]


@C.llama_log_callback
def warn(level: int, text: bytes, _: Any) -> None:
    """llama.cpp's log, warnings and errors alone, to stderr."""
    if level >= WARNING:
        sys.stderr.write(text.decode(errors="replace"))


def main() -> None:
    C.llama_log_set(warn, None)
    floor = Floor(Setup.model_validate_json(sys.stdin.buffer.readline()))
    for line in sys.stdin.buffer:
        result = floor.run(FloorJob.model_validate_json(line))
        print(result.model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
