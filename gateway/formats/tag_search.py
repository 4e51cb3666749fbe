"""Reads text up to a tag while it streams."""

from remuda.aho_corasick import AhoCorasick


class TagSearch:
    """Finds one tag, again and again. Holds back what may be part of it, and white space before it if told so."""

    def __init__(self, tag: str, *, drops_space: bool = False) -> None:
        """`drops_space`: white space before the tag is dropped with it."""
        self._tag = tag
        self._drops_space = drops_space
        self._search = AhoCorasick([tag])
        self._state = 0  # how much of the tag ends the text so far
        self._space: list[str] = []  # white space before that

    def feed(self, text: str, start: int = 0) -> tuple[str, int | None]:
        """Takes `text` from `start` on. Returns the text that stands before the tag for certain, and where the tag ends
        in `text`; None while it has not come."""
        search, state = self._search, self._state
        for end in range(start + 1, len(text) + 1):
            state = search.after(state, text[end - 1])
            if search.match[state]:
                before = self._release(self._before(text[start:end], state))
                self._state, self._space = 0, []
                return before, end
        before = self._release(self._before(text[start:], state))
        self._state = state
        return before, None

    def end(self) -> str:
        """Returns the text that was held back."""
        held = "".join((*self._space, self._tag[: self._state]))
        self._state, self._space = 0, []
        return held

    def _before(self, text: str, state: int) -> str:
        """Returns the text that can no longer be part of the tag: the last state's and `text`, without `state`."""
        size = self._state + len(text) - state
        return self._tag[:size] if size <= self._state else self._tag[: self._state] + text[: size - self._state]

    def _release(self, text: str) -> str:
        """Returns the text without the white space at its end, which is held back."""
        if not self._drops_space:
            return text
        visible = text.rstrip()
        released = "".join((*self._space, visible)) if visible else ""
        if visible:
            self._space.clear()
        self._space.append(text[len(visible) :])
        return released
