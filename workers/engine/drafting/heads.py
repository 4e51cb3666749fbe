"""Drafts by a model's own multi-token prediction heads.

A head is one layer more. From the state that the model computed at one token, and the token that came next, it guesses
the one after. It attends to what it computed before, so it has to follow all tokens that the model computes: prompts
are followed at once, single tokens when the next draft is made. Where that is impossible, since the model's cells came
from elsewhere, it goes on without the beginning: its guesses get worse, no more than that, for they are verified.

Of several heads the first one is used, again and again: each further token is guessed from its own last state.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workers.engine.batch import Plan
from workers.engine.context import Context
from workers.engine.drafting.hidden import HiddenStates
from workers.engine.rows import Batch
from workers.engine.sequence import Sequence

PATIENCE = 16
"""Tokens that may wait to be followed: few cost nothing beside the next draft, a prompt's states take much memory."""

StateRows = NDArray[np.float32]


@dataclass(slots=True)
class Track:
    """How far the head has followed the sequence of one slot: cells of its first `computed` tokens, at least of the
    last ones among them; then come `waiting` tokens, each with the state before it. `last` is the state after all."""

    slot: int
    last: StateRows
    sequence: Sequence | None = None
    computed: int = 0
    waiting: list[int] = field(default_factory=list[int])
    states: list[StateRows] = field(default_factory=list[StateRows])

    @property
    def end(self) -> int:
        return self.computed + len(self.waiting)

    def is_at(self, sequence: Sequence, length: int) -> bool:
        """Whether it has followed just the first `length` tokens of the sequence."""
        return self.sequence is sequence and self.end == length

    def covers(self, tokens: list[int]) -> bool:
        """Whether these are the first of the tokens that it has followed."""
        return self.sequence is not None and self.end >= len(tokens) and self.sequence.tokens[: len(tokens)] == tokens

    def add(self, tokens: list[int], states: StateRows) -> None:
        """Takes the next tokens, and the states after each."""
        self.waiting += tokens
        self.states += [self.last, *states[:-1]]
        self.last = states[-1].copy()  # not to keep them all


@dataclass(slots=True)
class HeadChunk:
    """Rows of one sequence for the head's next decode."""

    track: Track
    tokens: list[int]
    states: list[StateRows]
    position: int


class Heads:
    """The heads' own context, with as many sequences as the model's and under the same ids."""

    token_cost = 0.0

    def __init__(self, context: Context, model_context: Context, capacity: int, state_size: int) -> None:
        """`context` runs the heads and has at least `capacity` outputs; `state_size` numbers are a hidden state."""
        self._context = context
        self._seen = HiddenStates(model_context.pointer, state_size, wanted_only=False)
        self._own = HiddenStates(context.pointer, state_size, wanted_only=True)
        self._batch = Batch(context.batch_tokens, state_size)
        self._unknown = np.zeros(state_size, np.float32)
        self._tracks = [Track(slot, self._unknown) for slot in range(capacity)]

    def follow(self, plan: Plan) -> None:
        """Takes the states of a step's tokens, those of wrong drafts not."""
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
        """Those that were followed: of the others it cannot know the states any more."""
        return [one for one in sequences if self._tracks[one.slot].is_at(one, len(one.tokens) - 1)]

    def draft(self, sequences: list[Sequence], limits: list[int]) -> None:
        """Sets the draft of each sequence, of at most so many tokens."""
        going = [
            (sequence, limit, self._tracks[sequence.slot]) for sequence, limit in zip(sequences, limits, strict=True)
        ]
        tracks = [track for _, _, track in going]
        if sum(len(track.waiting) + 1 for track in tracks) > self._context.outputs:
            self._compute_waiting(tracks)
        chunks = [_first(track, sequence.tokens[-1]) for sequence, _, track in going]
        while chunks and self._compute(chunks, wanted=True):
            for track in tracks:
                track.computed, track.waiting, track.states = track.end, [], []
            drafted = self._best(chunks)
            chunks = list[HeadChunk]()
            for (sequence, limit, track), (token, state) in zip(going, drafted, strict=True):
                sequence.draft.append(token)
                if len(sequence.draft) < limit:
                    chunks.append(HeadChunk(track, [token], [state], track.computed + len(sequence.draft)))
            going = [(sequence, limit, track) for sequence, limit, track in going if len(sequence.draft) < limit]
        for track in tracks:  # the states of what was guessed were guesses too
            self._context.memory.keep(track.slot, track.computed)

    def _best(self, chunks: list[HeadChunk]) -> list[tuple[int, StateRows]]:
        """What the head guesses after each chunk, and its own state there."""
        ends = np.cumsum([len(chunk.tokens) for chunk in chunks]) - 1
        rows = int(ends[-1]) + 1
        tokens = self._context.logits(rows)[ends].argmax(axis=1)
        return list(zip(tokens.tolist(), self._own.rows(rows)[ends], strict=True))

    # ---- following ----

    def _track(self, sequence: Sequence, start: int) -> Track:
        """The track of a sequence's slot, brought to the first `start` tokens of the sequence."""
        track = self._tracks[sequence.slot]
        if not track.is_at(sequence, start):
            tokens = sequence.tokens[:start]
            source = next((known for known in (track, *self._tracks) if known.covers(tokens)), None)
            if source is None or start == 0:
                self._begin_anew(track, start)
            else:
                self._copy(source, track, start)
            track.sequence = sequence
        return track

    def _copy(self, source: Track, target: Track, length: int) -> None:
        """Makes the target's first `length` tokens those of the source."""
        self._compute_waiting([source])
        if source.end < length:  # it failed
            self._begin_anew(target, length)
            return
        target.last = source.last if source.end == length else self._unknown
        if source is not target:
            self._context.memory.copy(source.slot, target.slot)
        self._context.memory.keep(target.slot, length)
        target.computed, target.waiting, target.states = length, [], []

    def _begin_anew(self, track: Track, length: int) -> None:
        """Forgets a slot's cells; what is followed next comes after `length` tokens."""
        self._context.memory.keep(track.slot, 0)
        track.sequence, track.last = None, self._unknown
        track.computed, track.waiting, track.states = length, [], []

    def _compute_waiting(self, tracks: list[Track]) -> None:
        """Computes all that waits, in batches; ascending slots."""
        while any(track.waiting for track in tracks):
            room, chunks = self._context.batch_tokens, list[HeadChunk]()
            for track in tracks:
                count = min(len(track.waiting), room)
                if count:
                    chunks.append(HeadChunk(track, track.waiting[:count], track.states[:count], track.computed))
                room -= count
            if not self._compute(chunks, wanted=False):
                return
            for chunk in chunks:
                count, track = len(chunk.tokens), chunk.track
                track.computed += count
                del track.waiting[:count], track.states[:count]

    def _compute(self, chunks: list[HeadChunk], *, wanted: bool) -> bool:
        """Computes rows; with the logits and states of all or of none, since architectures differ in where they leave
        those of some. False, and all is forgotten, where that fails."""
        tokens, positions, ids = list[int](), list[int](), list[int]()
        for chunk in chunks:
            count, row = len(chunk.tokens), len(tokens)
            self._batch.states[row : row + count] = chunk.states
            tokens += chunk.tokens
            positions += range(chunk.position, chunk.position + count)
            ids += [chunk.track.slot] * count
        self._batch.fill(tokens, positions, ids, [int(wanted)] * len(tokens))
        if self._context.decode(self._batch) == 0:
            return True
        for track in self._tracks:  # there were no cells, or what they hold now is unknown
            self._begin_anew(track, 0)
        return False


def _first(track: Track, token: int) -> HeadChunk:
    """What waits, and the token after it, which the model has not computed yet."""
    return HeadChunk(track, [*track.waiting, token], [*track.states, track.last], track.computed)
