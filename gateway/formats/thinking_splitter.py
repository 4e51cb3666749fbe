"""Splits a reply into thoughts and answer while the model writes it."""

from enum import Enum, auto

from gateway.formats.tag_search import TagSearch
from gateway.prompt.templates.go_syntax import Tags


class _State(Enum):
    START = auto()  # nothing but white space so far
    OPENED = auto()  # white space after the opening tag is dropped
    THINKING = auto()
    CLOSED = auto()  # white space after the closing tag is dropped
    ANSWER = auto()


class ThinkingSplitter:
    """A reply is an answer, or thoughts between `tags` and then an answer."""

    def __init__(self, tags: Tags, *, inside: bool) -> None:
        """`inside`: the prompt ended with the opening tag."""
        self._opening = tags.opening
        self._closing = TagSearch(tags.closing, drops_space=True)
        self._state = _State.OPENED if inside else _State.START
        self._space: list[str] = []  # what the reply begins with
        self._opened = 0  # characters of the opening tag that have come

    def feed(self, text: str) -> tuple[str, str]:
        """Takes more text; returns the thoughts and the answer that are certain now."""
        thoughts = ""
        if self._state is _State.START:
            text = self._find_opening(text)
        if self._state is _State.OPENED:
            text = self._skip_space(text, _State.THINKING)
        if self._state is _State.THINKING:
            thoughts, text = self._find_closing(text)
        if self._state is _State.CLOSED:
            text = self._skip_space(text, _State.ANSWER)
        return thoughts, text

    def end(self) -> tuple[str, str]:
        """Returns the thoughts and the answer that were held back."""
        if self._state is _State.START:
            return "", self._held()
        return self._closing.end(), ""

    def _find_opening(self, text: str) -> str:
        """Returns the text after the opening tag, or all text where the reply begins with something else."""
        if not self._opened:
            stripped = text.lstrip()
            self._space.append(text[: len(text) - len(stripped)])
            text = stripped
        missing = len(self._opening) - self._opened
        if len(text) < missing and self._opening.startswith(text, self._opened):
            self._opened += len(text)
            return ""
        if text.startswith(self._opening[self._opened :]):
            self._state = _State.OPENED
            return text[missing:]
        self._state = _State.ANSWER
        return self._held() + text

    def _held(self) -> str:
        return "".join(self._space) + self._opening[: self._opened]

    def _skip_space(self, text: str, following: _State) -> str:
        text = text.lstrip()
        if text:
            self._state = following
        return text

    def _find_closing(self, text: str) -> tuple[str, str]:
        """Returns the thoughts, and the text after the closing tag."""
        thoughts, end = self._closing.feed(text)
        if end is None:
            return thoughts, ""
        self._state = _State.CLOSED
        return thoughts, text[end:]
