"""What the command line says."""

from dataclasses import dataclass


class OptionError(Exception):
    """An option that the case cannot follow."""


@dataclass(frozen=True, slots=True)
class CaseOptions:
    """The same for every case; what a case has no use for it does not read."""

    model: str
    streams: tuple[int, ...]
    """Numbers of concurrent streams, each measured by itself."""
    rounds: int = 5
    warmup: int = 1
    """Rounds before the measured ones that do not count."""
    tokens: int = 64
    """Of each stream."""
    prompt_tokens: int = 32
    """Of each prompt, about."""
    slots: int = 0
    """Of the servers; 0 = as many as there are streams."""
    threads: int = 0
    """llama.cpp's; 0 = one per physical core."""
    only: frozenset[str] = frozenset()
    """Contenders that take part; empty = all that the case knows."""
    seed: int = 1

    @property
    def only_streams(self) -> int:
        """For a case with one number of streams. Raises OptionError."""
        if len(self.streams) != 1:
            raise OptionError("this case takes one number of streams")
        return self.streams[0]

    @property
    def sizes(self) -> str:
        """For a line of help."""
        streams = ", ".join(str(count) for count in self.streams)
        return f"{self.model}, {streams} streams, {self.tokens} tokens after {self.prompt_tokens}"
