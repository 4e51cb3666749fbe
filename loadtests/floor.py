"""The floor: the same batches through bare `llama_decode`, without sampling, text, HTTP or other processes.

`python -m loadtests.floor` is a program of `bare`: it reads FloorJobs and writes FloorResults. It makes its context as
Remuda's worker does.
"""

import time
from collections.abc import Callable, Iterator

from pydantic import BaseModel

from loadtests.bare import Bare, Row, answer_jobs, tokenise
from loadtests.setup import Setup


class FloorJob(BaseModel):
    """Prompts to prefill together, then `tokens` - 1 decode steps for all of them (the prefill gives the first)."""

    prompts: list[str]
    tokens: int


class FloorResult(BaseModel):
    """Nanoseconds of the whole prefill and of each decode step."""

    prompt_tokens: int
    prefill_ns: int
    step_ns: list[int]


def run(bare: Bare, job: FloorJob) -> FloorResult:
    prompts = [tokenise(bare.model, prompt) for prompt in job.prompts]
    bare.clear()
    began = time.perf_counter_ns()
    for rows in prefill_steps(prompts, bare.batch_tokens):
        bare.decode(rows)
    prefilled = time.perf_counter_ns()
    step_ns = [bare.decode(decode_rows(prompts, step)) for step in range(job.tokens - 1)]
    tokens = sum(len(prompt) for prompt in prompts)
    return FloorResult(prompt_tokens=tokens, prefill_ns=prefilled - began, step_ns=step_ns)


def prefill_steps(prompts: list[list[int]], batch_tokens: int) -> Iterator[list[Row]]:
    """Yields equal chunks of all prompts at once."""
    chunk = max(batch_tokens // len(prompts), 1)
    for start in range(0, max(len(prompt) for prompt in prompts), chunk):
        yield [
            (prompt[position], position, sequence, int(position == len(prompt) - 1))
            for sequence, prompt in enumerate(prompts)
            for position in range(start, min(start + chunk, len(prompt)))
        ]


def decode_rows(prompts: list[list[int]], step: int) -> list[Row]:
    """Makes one row for every sequence, `step` tokens after its prompt. It uses the prompt's tokens again."""
    return [(prompt[step % len(prompt)], len(prompt) + step, sequence, 1) for sequence, prompt in enumerate(prompts)]


def begin(setup: Setup) -> Callable[[bytes], FloorResult]:
    bare = Bare(setup)
    return lambda line: run(bare, FloorJob.model_validate_json(line))


if __name__ == "__main__":
    answer_jobs(begin)
