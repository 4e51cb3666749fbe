"""Prompt lookup: the tokens that followed an n-gram before are likely to follow it again."""

NGRAM = 3
"""Tokens of an n-gram. Two repeat by chance all the time; four miss the beginning of many repeats."""


class Lookup:
    """The last place of each n-gram in one sequence."""

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}
        self._indexed = NGRAM  # n-grams that end before this place are indexed

    def draft(self, tokens: list[int], limit: int) -> list[int]:
        """Returns at most `limit` tokens to follow `tokens`; none when their last n-gram is new."""
        self.index(tokens)
        start = self._ends.get(tuple(tokens[-NGRAM:]))
        if start is None:
            return []
        period = len(tokens) - start
        # a repeat that reaches the end of the tokens goes on from its own beginning
        repeat = [tokens[start + i % period] for i in range(limit)]
        return repeat[: next((i for i, token in enumerate(repeat) if token < 0), limit)]

    def index(self, tokens: list[int]) -> None:
        """Indexes the n-grams that end before the last token. The last one is the one to look up."""
        for end in range(self._indexed, len(tokens)):
            self._ends[tuple(tokens[end - NGRAM : end])] = end
        self._indexed = max(self._indexed, len(tokens))

    def forget(self) -> None:
        """Empties the index, because the first tokens have changed."""
        self.__init__()
