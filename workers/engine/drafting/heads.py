"""Drafts by a model's own multi-token prediction heads.

A head is one more layer. It guesses a token from the model's hidden state at one token and from the token after that.
It attends to its own earlier cells, so it follows all tokens that the model computes: prompts at once, single tokens
with the next draft. Cells that the model copied or restored have no hidden states. The head then goes on without the
beginning, and its guesses get worse; the model verifies them anyway.

Of several heads only the first one is used. It guesses each further token from its own last state.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workers.engine.batch import Batch
from workers.engine.context import Context
from workers.engine.drafting.hidden import HiddenStates
from workers.engine.plan import Plan
from workers.engine.sequence import Sequence

PATIENCE = 16
"""Tokens that may wait for the next draft. A few cost nothing there; a prompt's states take much memory."""

StateRows = NDArray[np.float32]


@dataclass(slots=True)
class Track:
    """How far the head has followed the sequence of one slot."""

    slot: int
    last: StateRows  # the state after all followed tokens
    sequence: Sequence | None = None
    computed: int = 0  # tokens with cells; the first ones may lack theirs
    waiting: list[int] = field(default_factory=list[int])  # tokens after these, without cells yet
    states: list[StateRows] = field(default_factory=list[StateRows])  # the state before each waiting token

    @property
    def end(self) -> int:
        return self.computed + len(self.waiting)

    def is_at(self, sequence: Sequence, length: int) -> bool:
        """Whether the head has followed exactly the first `length` tokens of the sequence."""
        return self.sequence is sequence and self.end == length

    def covers(self, tokens: list[int]) -> bool:
        """Whether the head has followed these tokens, and maybe more after them."""
        return self.sequence is not None and self.end >= len(tokens) and self.sequence.tokens[: len(tokens)] == tokens

    def add(self, tokens: list[int], states: StateRows) -> None:
        """Adds the next tokens, and the state after each."""
        self.waiting += tokens
        self.states += [self.last, *states[:-1]]
        self.last = states[-1].copy()  # a copy, so that the other rows can be freed


@dataclass(slots=True)
class HeadChunk:
    """The rows of one sequence in the head's next decode."""

    track: Track
    tokens: list[int]
    states: list[StateRows]
    position: int


class Heads:
    """The heads' own context. Its sequence ids are those of the model's context."""

    token_cost = 0.0

    def __init__(self, context: Context, model_context: Context, capacity: int, state_size: int) -> None:
        """`context` runs the heads and has `capacity` outputs at least. A hidden state has `state_size` numbers."""
        self._context = context
        self._seen = HiddenStates(model_context.pointer, state_size, wanted_only=False)
        self._own = HiddenStates(context.pointer, state_size, wanted_only=True)
        self._batch = Batch(context.batch_tokens, state_size)
        self._unknown = np.zeros(state_size, np.float32)
        self._tracks = [Track(slot, self._unknown) for slot in range(capacity)]

    def follow(self, plan: Plan) -> None:
        """Adds the hidden states of a step's tokens, but not those of wrong drafts."""
        states = self._seen.rows(len(plan.tokens))
        slots, row = np.array(plan.sequences), 0
        for sequence, _ in plan.chunks:
            rows = int(np.count_nonzero(slots == sequence.slot))
            start = plan.positions[row]
            count = min(sequence.computed - start, rows)
            if count > 0 and not sequence.media:
                self._track(sequence, start).add(plan.tokens[row : row + count], states[row : row + count].copy())
            row += rows
        self._compute_waiting([track for track in self._tracks if len(track.waiting) > PATIENCE])

    def catch_up(self, sequences: list[Sequence], room: int) -> list[Sequence]:
        """Returns the sequences that were followed. The hidden states of the others are gone."""
        return [one for one in sequences if self._tracks[one.slot].is_at(one, len(one.tokens) - 1)]

    def draft(self, sequences: list[Sequence], limits: list[int]) -> None:
        """Sets the draft of each sequence, of at most so many tokens."""
        drafting = [
            (sequence, limit, self._tracks[sequence.slot]) for sequence, limit in zip(sequences, limits, strict=True)
        ]
        tracks = [track for _, _, track in drafting]
        if sum(len(track.waiting) + 1 for track in tracks) > self._context.outputs:
            self._compute_waiting(tracks)
        chunks = [_first(track, sequence.tokens[-1]) for sequence, _, track in drafting]
        while chunks and self._compute(chunks, with_outputs=True):
            for track in tracks:
                track.computed, track.waiting, track.states = track.end, [], []
            guesses = self._best(chunks)
            chunks = list[HeadChunk]()
            for (sequence, limit, track), (token, state) in zip(drafting, guesses, strict=True):
                sequence.draft.append(token)
                if len(sequence.draft) < limit:
                    chunks.append(HeadChunk(track, [token], [state], track.computed + len(sequence.draft)))
            drafting = [(sequence, limit, track) for sequence, limit, track in drafting if len(sequence.draft) < limit]
        for track in tracks:  # the cells of guesses came from guessed states
            self._context.memory.keep(track.slot, track.computed)

    def _best(self, chunks: list[HeadChunk]) -> list[tuple[int, StateRows]]:
        """Returns the head's guess after each chunk, and its own state there."""
        ends = np.cumsum([len(chunk.tokens) for chunk in chunks]) - 1
        rows = int(ends[-1]) + 1
        tokens = self._context.logits(rows)[ends].argmax(axis=1)
        return list(zip(tokens.tolist(), self._own.rows(rows)[ends], strict=True))

    # ---- following ----

    def _track(self, sequence: Sequence, start: int) -> Track:
        """Returns the track of a sequence's slot, moved to the first `start` tokens of the sequence."""
        track = self._tracks[sequence.slot]
        if not track.is_at(sequence, start):
            tokens = sequence.tokens[:start]
            source = next((other for other in (track, *self._tracks) if other.covers(tokens)), None)
            if source is None or start == 0:
                self._begin_anew(track, start)
            else:
                self._copy(source, track, start)
            track.sequence = sequence
        return track

    def _copy(self, source: Track, target: Track, length: int) -> None:
        """Copies the source's first `length` tokens to the target."""
        self._compute_waiting([source])
        if source.end < length:  # computing the waiting tokens failed
            self._begin_anew(target, length)
            return
        target.last = source.last if source.end == length else self._unknown
        if source is not target:
            self._context.memory.copy(source.slot, target.slot)
        self._context.memory.keep(target.slot, length)
        target.computed, target.waiting, target.states = length, [], []

    def _begin_anew(self, track: Track, length: int) -> None:
        """Empties a slot. The next followed token comes after `length` others."""
        self._context.memory.keep(track.slot, 0)
        track.sequence, track.last = None, self._unknown
        track.computed, track.waiting, track.states = length, [], []

    def _compute_waiting(self, tracks: list[Track]) -> None:
        """Computes all waiting tokens in batches. The tracks come in ascending order of their slots."""
        while any(track.waiting for track in tracks):
            room, chunks = self._context.batch_tokens, list[HeadChunk]()
            for track in tracks:
                count = min(len(track.waiting), room)
                if count:
                    chunks.append(HeadChunk(track, track.waiting[:count], track.states[:count], track.computed))
                room -= count
            if not self._compute(chunks, with_outputs=False):
                return
            for chunk in chunks:
                count, track = len(chunk.tokens), chunk.track
                track.computed += count
                del track.waiting[:count], track.states[:count]

    def _compute(self, chunks: list[HeadChunk], *, with_outputs: bool) -> bool:
        """Computes rows, with the logits and states of all or of none (`with_outputs`): architectures differ in where
        they leave those of some rows. Returns False, with all tracks empty, when that fails."""
        tokens, positions, ids = list[int](), list[int](), list[int]()
        for chunk in chunks:
            count, row = len(chunk.tokens), len(tokens)
            self._batch.states[row : row + count] = chunk.states
            tokens += chunk.tokens
            positions += range(chunk.position, chunk.position + count)
            ids += [chunk.track.slot] * count
        self._batch.fill(tokens, positions, ids, [int(with_outputs)] * len(tokens))
        if self._context.decode(self._batch) == 0:
            return True
        for track in self._tracks:  # no room in the KV cache, or cells in an unknown state
            self._begin_anew(track, 0)
        return False


def _first(track: Track, token: int) -> HeadChunk:
    """The waiting tokens, and the token after them, which the model has not computed yet."""
    return HeadChunk(track, [*track.waiting, token], [*track.states, track.last], track.computed)
