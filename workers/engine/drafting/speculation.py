"""Drafts for a step, and the count of right ones.

A draft's tokens are rows of the step's batch, each with logits. The request's own sampler picks from them as it would
without a draft. While it picks the drafted tokens, the next rows are good. So drafts never change the output, greedy or
not: a token's random number depends on its place alone.
"""

import sys
from collections.abc import Callable

from workers.engine.drafting.drafter import Drafter
from workers.engine.drafting.gain import Gain
from workers.engine.plan import Plan
from workers.engine.sequence import Sequence


class Speculation:
    """Proposes drafts where they pay."""

    def __init__(self, limit: int, rows: int, longest: int = sys.maxsize, drafter: Drafter | None = None) -> None:
        """A draft has at most `limit` tokens unless its request says otherwise, and never more than `longest`. All
        drafts of a step have at most `rows`."""
        self._limit = limit
        self._rows = rows
        self._longest = min(longest, rows)
        self._drafter = drafter
        self._gain = Gain()
        self._length = 0  # of the drafts in this step
        self._catching_up = False  # whether the drafter still lacks tokens of a prompt
        self.drafted = 0
        self.accepted = 0

    def limit(self, sequence: Sequence) -> int:
        """Returns the tokens to draft in a step at most. Mirostat allows none: each draw changes the next."""
        if sequence.mirostat is not None:
            return 0
        return min(self._limit if sequence.draft_tokens is None else sequence.draft_tokens, self._longest)

    def propose(self, decoding: list[Sequence], room: int, affordable: Callable[[float], int]) -> None:
        """Sets the drafts of the sequences that the next step decodes, at most `room` tokens together.

        `affordable` returns how many tokens of a cost (nanoseconds) streams can wait for.
        """
        self._length, self._catching_up = 0, False
        candidates: list[Sequence] = []
        for sequence in decoding:
            sequence.draft = []
            if self.limit(sequence) > 0 and sequence.drafting.ready():
                candidates.append(sequence)
        if not candidates:
            return
        longest = self._gain.length(len(decoding), max(map(self.limit, candidates)))
        length = min(longest, min(room, self._rows) // len(candidates))
        if length > 0:
            self._draft(candidates, length, affordable)
            self._length = longest if any(sequence.draft for sequence in candidates) else 0

    def verified(self, sequence: Sequence, accepted: int) -> None:
        """Counts the right tokens of a sequence's draft."""
        self.drafted += len(sequence.draft)
        self.accepted += accepted
        sequence.drafting.learn(accepted)
        sequence.draft = []

    def follow(self, plan: Plan) -> None:
        """Tells the drafter of a computed step, after its tokens are appended."""
        if self._drafter is not None:
            self._drafter.follow(plan)

    def observe(self, streams: int, tokens: int, elapsed_ns: int) -> None:
        """Learns from the tokens and the time of a decode step, drafting included. A step in which the drafter caught
        up with prompts does not count."""
        if not self._catching_up:
            self._gain.observe(streams, self._length, tokens, elapsed_ns)

    def _draft(self, candidates: list[Sequence], length: int, affordable: Callable[[float], int]) -> None:
        limits = {sequence: self._room(sequence, length) for sequence in candidates}
        for sequence, limit in limits.items():
            forced = sequence.constraint.forced() if sequence.constraint is not None else []
            sequence.draft = forced[:limit] or sequence.drafting.lookup.draft(sequence.tokens, limit)
        if self._drafter is not None:
            rest = [each for each, limit in limits.items() if limit > 0 and not each.draft and not each.media]
            ready = self._drafter.catch_up(rest, affordable(self._drafter.token_cost)) if rest else []
            self._catching_up = len(ready) < len(rest)
            if ready:
                self._drafter.draft(ready, [limits[sequence] for sequence in ready])

    def _room(self, sequence: Sequence, length: int) -> int:
        """Returns the drafted tokens that the sequence can use. A step adds one more token."""
        room = min(length, self.limit(sequence), sequence.num_ctx - len(sequence.tokens))
        if sequence.num_predict >= 0:
            room = min(room, sequence.num_predict - sequence.generated - sequence.resumed - 1)
        return max(room, 0)
