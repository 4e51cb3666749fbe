"""Prompts beside running streams, by bare `llama_decode`: in the streams' own batches, or in steps of their own.

`python -m loadtests.policies` is a program of `bare`: it reads PolicyJobs and writes PolicyResults. Every policy
computes the same tokens of streams and prompt in a round, so that times compare directly.
"""

from collections.abc import Callable, Iterator

from pydantic import BaseModel

from loadtests.bare import Bare, Row, answer_jobs
from loadtests.setup import Setup

STREAM_PROMPT = 32
"""Tokens of every stream before the first step."""
TOKEN = 300
"""Any ordinary token: the time does not depend on it."""


class PolicyJob(BaseModel):
    """Cycles of one token for each stream and one chunk of a prompt."""

    streams: int
    cycles: int
    chunk: int
    """Tokens of a chunk; 0 = the streams alone."""
    depth: int
    """Tokens of the prompt that are computed before."""
    together: bool
    """Whether a chunk is in the streams' batch. Otherwise chunks have batches of their own."""
    every: int = 1
    """Chunks in a batch of their own, which follows as many decode-only batches."""


class PolicyResult(BaseModel):
    """The times of one job."""

    decode_ns: list[int]
    """Nanoseconds of each llama_decode, in order."""
    gap_ns: int
    """The longest time between two tokens of a stream."""


class Policies:
    """Plays jobs. Streams are the sequences from 1 on.

    Sequence 0 is a prompt that began before the job; its first cells stay for the next job. A prompt that begins with
    the job is the sequence after the streams.
    """

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
    """Yields the batches, and whether each gives every stream a token."""
    for cycle in range(job.cycles):
        decode = [(TOKEN, STREAM_PROMPT + cycle, stream, 1) for stream in range(1, job.streams + 1)]
        if job.together and job.chunk:
            yield sorted(decode + chunk_rows(job, cycle, 1), key=sequence_of), True
            continue
        yield decode, True
        if job.chunk and (cycle + 1) % job.every == 0:
            yield chunk_rows(job, cycle + 1 - job.every, job.every), False


def chunk_rows(job: PolicyJob, cycle: int, chunks: int) -> list[Row]:
    """Makes the rows of so many chunks of the prompt, from a cycle on."""
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
