"""Embeddings: packs the inputs of all requests into batches, and hands out each request's vectors."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workers.engine.batch import Batch
from workers.engine.companion import Companion
from workers.engine.embedding_context import EmbeddingContext
from workers.engine.llama import LoadError
from workers.engine.pace import smooth
from workers.engine.sequence import FinishReason, SequenceKey


@dataclass(slots=True, eq=False)
class EmbeddingJob:
    """One request: lists of token ids, with a vector to compute for each."""

    key: SequenceKey
    gateway: str
    inputs: list[list[int]]
    begun: int = 0  # inputs that have been in a batch
    done: int = 0  # inputs with a vector
    compute_ns: int = 0  # time of all batches with its inputs
    finish: FinishReason | None = None
    error: str = ""
    invalid: bool = False  # an input is too long

    def end(self, reason: FinishReason, error: str = "", *, invalid: bool = False) -> None:
        """Ends the job, unless it has ended already."""
        if self.finish is None:
            self.finish, self.error, self.invalid = reason, error, invalid

    @property
    def tokens(self) -> int:
        return sum(map(len, self.inputs))


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors that one batch gave one job."""

    request: EmbeddingJob
    vectors: tuple[tuple[int, NDArray[np.float32]], ...]  # (index of the input, vector (width,) before normalisation)
    ended: bool  # true on the job's last vectors


@dataclass(slots=True)
class Member:
    """An input in a batch."""

    job: EmbeddingJob
    index: int  # of the input in its job
    id: int  # of its sequence in the batch
    computed: int = 0  # tokens that earlier batches computed

    @property
    def pending(self) -> list[int]:
        return self.job.inputs[self.index][self.computed :]


@dataclass(slots=True)
class Packing:
    """The rows of the next batch."""

    tokens: list[int] = field(default_factory=list[int])
    positions: list[int] = field(default_factory=list[int])
    sequences: list[int] = field(default_factory=list[int])

    def add(self, member: Member, count: int) -> None:
        """Adds the next `count` pending tokens of an input."""
        self.tokens += member.pending[:count]
        self.positions += range(member.computed, member.computed + count)
        self.sequences += [member.id] * count
        member.computed += count

    def write(self, batch: Batch) -> None:
        batch.fill(self.tokens, self.positions, self.sequences, [1] * len(self.tokens))


class Embedder:
    """Runs any number of jobs over one context, which the first job makes.

    Not thread-safe. One thread calls it, but `meanwhile` may call `add` and `cancel`.
    """

    def __init__(self, make_context: Callable[[], EmbeddingContext], num_ctx: int, vocabulary_size: int) -> None:
        """An input has at most `num_ctx` tokens. `make_context` may raise LoadError."""
        self._make_context = make_context
        self._num_ctx = num_ctx
        self._vocabulary_size = vocabulary_size
        self._context: EmbeddingContext | None = None
        self._companion = Companion()
        self._jobs: dict[SequenceKey, EmbeddingJob] = {}
        self._turns: deque[EmbeddingJob] = deque()  # jobs with inputs left to begin, the next one first
        self._unfinished: list[Member] = []  # a long input that the next batch continues
        self._fresh: list[tuple[Member, NDArray[np.float32]]] = []
        self._meanwhile: Callable[[list[Vectors]], None]  # set by `bind`
        self.computed_tokens = 0  # since the start
        self.token_cost = 0.0  # nanoseconds, of late

    # ---- what the runner calls ----

    @property
    def jobs(self) -> list[SequenceKey]:
        """The jobs that are not handed out completely."""
        return list(self._jobs)

    def add(self, job: EmbeddingJob) -> None:
        """Queues a request. One that cannot run ends with an error at the next step."""
        self._jobs[job.key] = job
        self._turns.append(job)
        if not job.inputs or not all(job.inputs):
            job.end(FinishReason.ERROR, "the input is empty")
        elif max(map(len, job.inputs)) > self._num_ctx:
            job.end(FinishReason.ERROR, "the input is longer than the context length", invalid=True)
        elif min(map(min, job.inputs)) < 0 or max(map(max, job.inputs)) >= self._vocabulary_size:
            job.end(FinishReason.ERROR, "the input has a token that is not in the vocabulary")

    def cancel(self, key: SequenceKey) -> None:
        """Ends a job at the next step."""
        if key in self._jobs:
            self._jobs[key].end(FinishReason.CANCELLED)

    def open(self) -> EmbeddingContext:
        """Returns the context; the first call makes it. Raises LoadError."""
        if self._context is None:
            self._context = self._make_context()
            self._batch = Batch(self._context.batch_tokens)
        return self._context

    def bind(self, meanwhile: Callable[[list[Vectors]], None]) -> None:
        """Sets the callback that runs while a batch computes, and gets its vectors afterwards. Called before the first
        step."""
        self._meanwhile = meanwhile

    def step(self, room: int) -> None:
        """Computes one batch of about `room` tokens. A longer input that cannot be split makes it larger."""
        try:
            context = self.open()
        except LoadError as error:
            for job in self._jobs.values():
                job.end(FinishReason.ERROR, str(error))
        else:
            room = min(room, context.batch_tokens)
            members = self._choose(context, room)
            if members:
                self._compute(context, members, self._pack(context, members, room))
        self._meanwhile(self._collect())

    # ---- the parts of a step ----

    def _choose(self, context: EmbeddingContext, room: int) -> list[Member]:
        """Chooses the inputs of the next batch, one from each job in turn. An input too long for `room` goes alone."""
        if unfinished := [member for member in self._unfinished if member.job.finish is None]:
            return unfinished
        context.forget()
        members: list[Member] = []
        while len(members) < context.sequences and (job := self._next_job(context)):
            length = len(job.inputs[job.begun])
            if members and length > room:
                break
            room -= length
            members.append(Member(job, job.begun, len(members)))
            job.begun += 1
            self._turns.rotate(-1)
        return members

    def _next_job(self, context: EmbeddingContext) -> EmbeddingJob | None:
        """Returns the job whose turn it is. Jobs without inputs left to begin leave the round."""
        while self._turns:
            job = self._turns[0]
            if job.finish is None and job.begun < len(job.inputs):
                if context.splits or len(job.inputs[job.begun]) <= context.batch_tokens:
                    return job
                job.end(FinishReason.ERROR, f"the input is too large: {context.batch_tokens} tokens fit", invalid=True)
            self._turns.popleft()
        return None

    def _pack(self, context: EmbeddingContext, members: list[Member], room: int) -> Packing:
        packing = Packing()
        for member in members:
            packing.add(member, min(len(member.pending), room) if context.splits else len(member.pending))
        return packing

    def _compute(self, context: EmbeddingContext, members: list[Member], packing: Packing) -> None:
        packing.write(self._batch)
        self._companion.start(lambda: self._meanwhile([]))
        began = time.monotonic_ns()
        result = context.compute(self._batch)
        elapsed = time.monotonic_ns() - began
        self._companion.wait()
        self.computed_tokens += len(packing.tokens)
        self.token_cost = smooth(self.token_cost, elapsed / len(packing.tokens))
        for job in {id(member.job): member.job for member in members}.values():
            job.compute_ns += elapsed
            if result:
                job.end(FinishReason.ERROR, f"llama.cpp failed with code {result}")
        self._unfinished = [member for member in members if member.pending]
        if not result:
            self._fresh = [(member, context.vector(member.id)) for member in members if not member.pending]

    def _collect(self) -> list[Vectors]:
        """Collects the vectors of the last batch, and the ends of jobs."""
        vectors: dict[SequenceKey, list[tuple[int, NDArray[np.float32]]]] = {}
        for member, vector in self._fresh:
            vectors.setdefault(member.job.key, []).append((member.index, vector))
            member.job.done += 1
            if member.job.done == len(member.job.inputs):
                member.job.end(FinishReason.STOP)
        self._fresh = []
        jobs = [job for job in self._jobs.values() if job.key in vectors or job.finish is not None]
        for job in jobs:
            if job.finish is not None:
                del self._jobs[job.key]
        return [Vectors(job, tuple(vectors.get(job.key, ())), job.finish is not None) for job in jobs]
