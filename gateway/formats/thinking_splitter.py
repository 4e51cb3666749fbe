"""Splits a reply into thoughts and answer while the model writes it."""

from enum import Enum, auto

from gateway.formats.held_text import overlap
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
        self._tags = tags
        self._state = _State.OPENED if inside else _State.START
        self._held = ""

    def feed(self, text: str) -> tuple[str, str]:
        """Takes more text; returns the thoughts and the answer that are certain now."""
        if self._state is _State.ANSWER:
            return "", text
        self._held += text
        thoughts, answer = "", ""
        before = None
        while self._held and self._state is not before:
            before = self._state
            more_thoughts, more_answer = self._step()
            thoughts, answer = thoughts + more_thoughts, answer + more_answer
        return thoughts, answer

    def end(self) -> tuple[str, str]:
        """Returns the thoughts and the answer that were held back."""
        held, self._held = self._held, ""
        return (held, "") if self._state is _State.THINKING else ("", held)

    def _step(self) -> tuple[str, str]:
        match self._state:
            case _State.START:
                return self._find_opening()
            case _State.OPENED:
                return self._skip_space(_State.THINKING)
            case _State.THINKING:
                return self._find_closing()
            case _State.CLOSED:
                return self._skip_space(_State.ANSWER)
            case _State.ANSWER:
                answer, self._held = self._held, ""
                return "", answer

    def _find_opening(self) -> tuple[str, str]:
        text, opening = self._held.lstrip(), self._tags.opening
        if text.startswith(opening):
            self._held, self._state = text[len(opening) :], _State.OPENED
        elif not opening.startswith(text):
            self._state = _State.ANSWER
        return "", ""

    def _skip_space(self, following: _State) -> tuple[str, str]:
        self._held = self._held.lstrip()
        if self._held:
            self._state = following
        return "", ""

    def _find_closing(self) -> tuple[str, str]:
        thoughts, closing, rest = self._held.partition(self._tags.closing)
        if closing:
            self._held, self._state = rest, _State.CLOSED
            return thoughts.rstrip(), ""
        visible = len(thoughts) - overlap(thoughts, self._tags.closing)
        visible = len(thoughts[:visible].rstrip())  # white space before the closing tag is no part of the thoughts
        self._held = thoughts[visible:]
        return thoughts[:visible], ""
