"""Everything that one loaded model does: generations, and embeddings in turn with them."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeAlias

from workers.engine.counters import Counters
from workers.engine.embedding import Embedder, EmbeddingJob, Vectors
from workers.engine.engine import Engine
from workers.engine.pieces import Piece
from workers.engine.sequence import FinishReason, Sequence, SequenceKey

Output: TypeAlias = Piece | Vectors

Meanwhile: TypeAlias = Callable[[Collection[Output]], None]
"""Gets the outputs that are ready, while the next ones are computed. It may add and cancel."""

NO_GENERATION = "this model embeds and does not generate"


class Runner:
    """An embedder and an engine; an embedding model has no engine. Not thread-safe: one thread calls it."""

    def __init__(self, engine: Engine | None, embedder: Embedder, batch_tokens: int) -> None:
        """A batch of inputs has about `batch_tokens`. It is smaller while anything generates: streams keep their
        rhythm."""
        self._engine = engine
        self._embedder = embedder
        self._batch_tokens = batch_tokens
        self._refused: list[Sequence] = []
        self._meanwhile: Meanwhile  # set by `bind`

    @property
    def busy(self) -> bool:
        return bool(self._embedder.jobs or self._refused or (self._engine and self._engine.busy))

    @property
    def slots_busy(self) -> int:
        return len(self._embedder.jobs) + (self._engine.slots_busy if self._engine else 0)

    @property
    def waiting(self) -> int:
        return self._engine.waiting if self._engine else 0

    @property
    def cells_used(self) -> int:
        """Tokens in the KV cache."""
        return self._engine.cells_used if self._engine else 0

    @property
    def counters(self) -> Counters:
        counters = self._engine.counters if self._engine else Counters()
        return replace(counters, prefill_tokens=counters.prefill_tokens + self._embedder.computed_tokens)

    def alive(self) -> list[SequenceKey]:
        """The requests whose last output is not handed out yet."""
        generating = self._engine.alive() if self._engine else []
        return [*generating, *self._embedder.jobs, *(sequence.key for sequence in self._refused)]

    def add(self, request: Sequence | EmbeddingJob) -> None:
        """Queues a request. One that cannot run ends with an error at the next step."""
        if isinstance(request, EmbeddingJob):
            self._embedder.add(request)
        elif self._engine:
            self._engine.add(request)
        else:
            request.end(FinishReason.ERROR, NO_GENERATION)
            self._refused.append(request)

    def cancel(self, key: SequenceKey) -> None:
        """Ends a request at the next step."""
        self._embedder.cancel(key)
        if self._engine:
            self._engine.cancel(key)

    def bind(self, meanwhile: Meanwhile) -> None:
        """Sets the callback that gets all outputs. Called before the first step."""
        self._meanwhile = meanwhile
        self._embedder.bind(meanwhile)
        if self._engine:
            self._engine.bind(meanwhile)

    def step(self) -> bool:
        """Computes one batch of inputs, if there are any, and one decode. Returns False when there was nothing to
        compute."""
        embedding = bool(self._embedder.jobs)
        if embedding:
            self._embedder.step(self._room)
        if self._refused:
            refused, self._refused = self._refused, []
            self._meanwhile([Piece(sequence, (), "", ended=True) for sequence in refused])
        if self._engine is not None and self._engine.busy:
            return self._engine.step() or embedding
        return embedding

    @property
    def _room(self) -> int:
        """Tokens for the next batch of inputs."""
        if self._engine is None or not self._engine.busy:
            return self._batch_tokens
        return self._engine.pace.affordable(self._embedder.token_cost)
