"""Drafts for a step, and what became of them.

A draft's tokens are rows of the step's batch, each with logits, from which the request's own sampler picks as it would
without a draft. As long as it picks what was drafted, the rows after are good. So the output is the same whatever is
drafted, greedy or not: a token's random number depends on its place alone.
"""

import sys
from collections.abc import Callable

from workers.engine.batch import Plan
from workers.engine.drafting.drafter import Drafter
from workers.engine.drafting.gain import Gain
from workers.engine.sequence import Sequence


class Speculation:
    """Proposes drafts where they pay."""

    def __init__(
        self, limit: int, rows: int, num_ctx: int, longest: int = sys.maxsize, drafter: Drafter | None = None
    ) -> None:
        """At most `limit` tokens for a sequence that does not say otherwise, `longest` for any, `rows` in a step."""
        self._limit = limit
        self._rows = rows
        self._longest = min(longest, rows)
        self._num_ctx = num_ctx
        self._drafter = drafter
        self._gain = Gain()
        self._length = 0  # of the step's drafts
        self._catching_up = False  # the drafter, with prompts that it has not seen yet
        self.drafted = 0
        self.accepted = 0

    def asked(self, sequence: Sequence) -> int:
        """Tokens to draft for the sequence in a step at most: none where a token's draw changes that of the next."""
        if sequence.mirostat is not None:
            return 0
        return min(self._limit if sequence.draft_tokens is None else sequence.draft_tokens, self._longest)

    def propose(self, decoding: list[Sequence], room: int, affordable: Callable[[float], int]) -> None:
        """Sets the drafts of the sequences that the next step decodes; at most `room` tokens together. `affordable`
        says how many tokens of a cost streams can wait for."""
        self._length, self._catching_up = 0, False
        wanting: list[Sequence] = []
        for sequence in decoding:
            sequence.draft = []
            if self.asked(sequence) > 0 and sequence.drafting.ready():
                wanting.append(sequence)
        if not wanting:
            return
        longest = self._gain.length(len(decoding), max(map(self.asked, wanting)))
        length = min(longest, min(room, self._rows) // len(wanting))
        if length > 0:
            self._draft(wanting, length, affordable)
            self._length = longest if any(sequence.draft for sequence in wanting) else 0

    def verified(self, sequence: Sequence, accepted: int) -> None:
        """Takes how many tokens of the sequence's draft were right."""
        self.drafted += len(sequence.draft)
        self.accepted += accepted
        sequence.drafting.learn(accepted)
        sequence.draft = []

    def follow(self, plan: Plan) -> None:
        """Sees a step that was computed, and whose tokens were taken."""
        if self._drafter is not None:
            self._drafter.follow(plan)

    def observe(self, streams: int, tokens: int, elapsed_ns: int) -> None:
        """Takes the time of a step of decodes alone, drafting included, and the tokens that it gave. A step in which
        prompts were caught up with says nothing about drafts."""
        if not self._catching_up:
            self._gain.observe(streams, self._length, tokens, elapsed_ns)

    def _draft(self, wanting: list[Sequence], length: int, affordable: Callable[[float], int]) -> None:
        limits = {sequence: self._room(sequence, length) for sequence in wanting}
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
        """Tokens that the sequence can use: one more than is drafted comes out of a step."""
        room = min(length, self.asked(sequence), self._num_ctx - len(sequence.tokens))
        if sequence.num_predict >= 0:
            room = min(room, sequence.num_predict - sequence.generated - sequence.resumed - 1)
        return max(room, 0)
