"""The options of a case, which the command line can set."""

from dataclasses import dataclass


class OptionError(Exception):
    """An option that the case does not support."""


@dataclass(frozen=True, slots=True)
class CaseOptions:
    """The options of every case. A case ignores those that it does not need."""

    model: str
    streams: tuple[int, ...]
    """Numbers of concurrent streams. Each is measured by itself."""
    rounds: int = 5
    warmup: int = 1
    """Rounds before the measured ones that do not count."""
    tokens: int = 64
    """Tokens of each stream."""
    prompt_tokens: int = 32
    """Tokens of each prompt, about."""
    slots: int = 0
    """Slots of the servers; 0 = as many as streams."""
    threads: int = 0
    """llama.cpp's threads; 0 = one per physical core."""
    only: frozenset[str] = frozenset()
    """Contenders that take part; empty = all of the case."""
    seed: int = 1

    @property
    def only_streams(self) -> int:
        """The number of streams of a case that takes one. Raises OptionError."""
        if len(self.streams) != 1:
            raise OptionError("this case takes one number of streams")
        return self.streams[0]

    @property
    def sizes(self) -> str:
        """The sizes as a line of help."""
        streams = ", ".join(str(count) for count in self.streams)
        return f"{self.model}, {streams} streams, {self.tokens} tokens after {self.prompt_tokens}"
