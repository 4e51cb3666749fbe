"""Prompt lookup: what followed the last few tokens when they occurred before is likely to follow again."""

NGRAM = 3
"""Tokens that must have occurred before. Two match by chance all the time, four miss the beginning of many repeats."""


class Lookup:
    """Where each n-gram of one sequence occurred last."""

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}
        self._indexed = NGRAM  # n-grams that end before here are known

    def draft(self, tokens: list[int], limit: int) -> list[int]:
        """At most `limit` tokens to follow `tokens`; none where their end is new."""
        self.index(tokens)
        start = self._ends.get(tuple(tokens[-NGRAM:]))
        if start is None:
            return []
        period = len(tokens) - start
        # a repeat that runs into the end goes on from its own beginning
        found = [tokens[start + i % period] for i in range(limit)]
        return found[: next((i for i, token in enumerate(found) if token < 0), limit)]

    def index(self, tokens: list[int]) -> None:
        """Learns the n-grams that end before the last token: the last one is what is looked for."""
        for end in range(self._indexed, len(tokens)):
            self._ends[tuple(tokens[end - NGRAM : end])] = end
        self._indexed = max(self._indexed, len(tokens))

    def forget(self) -> None:
        """The tokens were changed at their beginning."""
        self.__init__()
