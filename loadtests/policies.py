"""Prompts beside running streams, by bare `llama_decode`: in the streams' own batches, or in steps of their own.

`python -m loadtests.policies`, a program of `bare`: a PolicyJob a line, a PolicyResult a line. In every round of a
policy each stream gets as many tokens, and the prompt as many are computed, so that times compare directly.
"""

from collections.abc import Callable, Iterator

from pydantic import BaseModel

from loadtests.bare import Bare, Row, answer_jobs
from loadtests.setup import Setup

STREAM_PROMPT = 32
"""Tokens that every stream has before the first step."""
TOKEN = 300
"""Any ordinary one: the time does not depend on it."""


class PolicyJob(BaseModel):
    """`cycles` times a token for each of `streams`, and `chunk` tokens of a prompt that has `depth` already. With
    `together` they share a batch; else a batch of `every` chunks comes after as many decode-only ones. No chunk:
    the streams alone."""

    streams: int
    cycles: int
    chunk: int
    depth: int
    together: bool
    every: int = 1


class PolicyResult(BaseModel):
    """Nanoseconds of each llama_decode, in order, and of the longest time between two tokens of a stream."""

    decode_ns: list[int]
    gap_ns: int


class Policies:
    """Plays jobs. The streams are the sequences from 1 on; sequence 0 is the prompt that has begun before a job, whose
    first cells stay from one job to the next; a prompt that begins with the job comes after the streams."""

    def __init__(self, setup: Setup) -> None:
        self._bare = Bare(setup)
        self._begun = 0  # tokens of sequence 0

    def run(self, job: PolicyJob) -> PolicyResult:
        self._prepare(job)
        decode_ns: list[int] = []
        gap, since_token = 0, 0
        for rows, gives_tokens in steps(job):
            elapsed = self._bare.decode(rows)
            decode_ns.append(elapsed)
            since_token += elapsed
            if gives_tokens:
                gap, since_token = max(gap, since_token), 0
        return PolicyResult(decode_ns=decode_ns, gap_ns=gap)

    def _prepare(self, job: PolicyJob) -> None:
        for sequence in range(1, job.streams + 2):
            self._bare.cut(sequence, 0)
        for stream in range(1, job.streams + 1):
            self._bare.decode(prompt_rows(stream, 0, STREAM_PROMPT))
        if job.depth:
            self._begin_prompt(job.depth)

    def _begin_prompt(self, depth: int) -> None:
        batch = self._bare.batch_tokens
        self._bare.cut(0, depth)
        for start in range(self._begun, depth, batch):
            self._bare.decode(prompt_rows(0, start, min(batch, depth - start)))
        self._begun = depth


def steps(job: PolicyJob) -> Iterator[tuple[list[Row], bool]]:
    """The batches, and whether each gives every stream a token."""
    for cycle in range(job.cycles):
        decode = [(TOKEN, STREAM_PROMPT + cycle, stream, 1) for stream in range(1, job.streams + 1)]
        if job.together and job.chunk:
            yield sorted(decode + chunk_rows(job, cycle, 1), key=sequence_of), True
            continue
        yield decode, True
        if job.chunk and (cycle + 1) % job.every == 0:
            yield chunk_rows(job, cycle + 1 - job.every, job.every), False


def chunk_rows(job: PolicyJob, cycle: int, chunks: int) -> list[Row]:
    """So many chunks of the prompt, after those of the cycles before."""
    return prompt_rows(0 if job.depth else job.streams + 1, job.depth + cycle * job.chunk, chunks * job.chunk)


def sequence_of(row: Row) -> int:
    return row[2]


def prompt_rows(sequence: int, start: int, count: int) -> list[Row]:
    return [(TOKEN, position, sequence, 0) for position in range(start, start + count)]


def begin(setup: Setup) -> Callable[[bytes], PolicyResult]:
    policies = Policies(setup)
    return lambda line: policies.run(PolicyJob.model_validate_json(line))


if __name__ == "__main__":
    answer_jobs(begin)
