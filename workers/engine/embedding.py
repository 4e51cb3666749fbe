"""Embeddings: the inputs of all requests, packed into batches, and each request's vectors as they are done."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workers.engine.companion import Companion
from workers.engine.embedding_context import EmbeddingContext
from workers.engine.llama import LoadError
from workers.engine.pace import smooth
from workers.engine.rows import Batch
from workers.engine.sequence import FinishReason, SequenceKey


@dataclass(slots=True, eq=False)
class EmbeddingJob:
    """One request: inputs (token ids) that want a vector each."""

    key: SequenceKey
    gateway: str
    inputs: list[list[int]]
    begun: int = 0  # inputs that were put into a batch
    done: int = 0
    compute_ns: int = 0  # the time of the batches that its inputs were in
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
    """What one batch gave one job: (index of the input, vector (width,), not normalised). `ended` on the last."""

    request: EmbeddingJob
    vectors: tuple[tuple[int, NDArray[np.float32]], ...]
    ended: bool


@dataclass(slots=True)
class Member:
    """An input in a batch, where it is the sequence `id`; `computed` of its tokens were in earlier batches."""

    job: EmbeddingJob
    index: int
    id: int
    computed: int = 0

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
    """Runs any number of jobs over one context, which is made at the first one. Not thread-safe: one thread calls it,
    except for `add` and `cancel`, which may be called by `meanwhile`."""

    def __init__(self, make_context: Callable[[], EmbeddingContext], num_ctx: int, vocabulary_size: int) -> None:
        """`num_ctx` are the tokens of an input at most. `make_context` may raise LoadError."""
        self._make_context = make_context
        self._num_ctx = num_ctx
        self._vocabulary_size = vocabulary_size
        self._context: EmbeddingContext | None = None
        self._companion = Companion()
        self._jobs: dict[SequenceKey, EmbeddingJob] = {}
        self._turns: deque[EmbeddingJob] = deque()  # those with inputs that are in no batch yet, the next one first
        self._unfinished: list[Member] = []  # a long input that the next batch goes on with
        self._fresh: list[tuple[Member, NDArray[np.float32]]] = []
        self.computed_tokens = 0  # since the start
        self.token_cost = 0.0  # nanoseconds, of late

    # ---- what the replica calls ----

    @property
    def jobs(self) -> list[SequenceKey]:
        """The jobs that have not ended."""
        return list(self._jobs)

    def add(self, job: EmbeddingJob) -> None:
        """Takes a request. One that cannot run ends with an error at the next step."""
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
        """The context, made at the first call. Raises LoadError."""
        if self._context is None:
            self._context = self._make_context()
            self._batch = Batch(self._context.batch_tokens)
        return self._context

    def step(self, meanwhile: Callable[[list[Vectors]], None], room: int) -> None:
        """Computes one batch of about `room` tokens: more where an input is longer and has to be whole. `meanwhile` is
        called while it computes, and afterwards with what it gave."""
        try:
            context = self.open()
        except LoadError as error:
            for job in self._jobs.values():
                job.end(FinishReason.ERROR, str(error))
        else:
            room = min(room, context.batch_tokens)
            members = self._choose(context, room)
            if members:
                self._compute(context, members, self._pack(context, members, room), meanwhile)
        meanwhile(self._collect())

    # ---- the parts of a step ----

    def _choose(self, context: EmbeddingContext, room: int) -> list[Member]:
        """The inputs of the next batch, one of each job in turn. One too long for `room` is alone."""
        if going_on := [member for member in self._unfinished if member.job.finish is None]:
            return going_on
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
        """The job whose turn it is; those that have no inputs left to begin lose theirs."""
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

    def _compute(
        self,
        context: EmbeddingContext,
        members: list[Member],
        packing: Packing,
        meanwhile: Callable[[list[Vectors]], None],
    ) -> None:
        packing.write(self._batch)
        self._companion.start(lambda: meanwhile([]))
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
        """The vectors of the last batch, and the ends of jobs."""
        vectors: dict[SequenceKey, list[tuple[int, NDArray[np.float32]]]] = {}
        for member, vector in self._fresh:
            vectors.setdefault(member.job.key, []).append((member.index, vector))
            member.job.done += 1
            if member.job.done == len(member.job.inputs):
                member.job.end(FinishReason.STOP)
        self._fresh = []
        told = [job for job in self._jobs.values() if job.key in vectors or job.finish is not None]
        for job in told:
            if job.finish is not None:
                del self._jobs[job.key]
        return [Vectors(job, tuple(vectors.get(job.key, ())), job.finish is not None) for job in told]
