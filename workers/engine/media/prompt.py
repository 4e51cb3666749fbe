"""A prompt with media: its parts before and after its media are encoded."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from workers.engine.media.cells import cell_numbers


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a prompt: tokens, then the content of an image or sound file."""

    tokens: tuple[int, ...]
    media: bytes


@dataclass(frozen=True, slots=True)
class TextChunk:
    """Tokens that the model needs around its media, such as the marks where an image begins and ends."""

    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The positions of each cell: one, or four with M-RoPE (time, row, column, unused)."""

    at_zero: NDArray[np.int32]  # (positions of a cell, cells) of a chunk that begins at position 0
    moves: NDArray[np.int32]  # the same shape: the change for each position that the chunk begins later

    def at(self, position: int) -> NDArray[np.int32]:
        """Returns the positions of a chunk that begins at `position`."""
        return self.at_zero + position * self.moves


@dataclass(frozen=True, slots=True, eq=False)
class MediaChunk:
    """An encoded piece of an image or a sound."""

    key: bytes  # stands for the content
    cells: int  # in the KV cache
    positions: int  # positions that it takes; with M-RoPE fewer than cells
    embeddings: NDArray[np.float32]  # (cells, width of the model's input)
    places: Places
    whole: bool = False  # its cells attend to each other, so they need one batch


Chunk: TypeAlias = TextChunk | MediaChunk


@dataclass(frozen=True, slots=True)
class MediaSpan:
    """A chunk of media and its place in a prompt's tokens."""

    start: int
    chunk: MediaChunk

    @property
    def cells(self) -> int:
        return self.chunk.cells

    @property
    def positions(self) -> int:
        return self.chunk.positions

    @property
    def end(self) -> int:
        return self.start + self.chunk.cells


@dataclass(slots=True)
class MediaPrompt:
    """A prompt with encoded media. Each cell of media is a negative number among the tokens."""

    tokens: list[int] = field(default_factory=list[int])
    spans: list[MediaSpan] = field(default_factory=list[MediaSpan])  # in the order of their starts

    def append(self, chunk: Chunk) -> None:
        """Adds a chunk at the end."""
        if isinstance(chunk, TextChunk):
            self.tokens += chunk.tokens
        else:
            self.spans.append(MediaSpan(len(self.tokens), chunk))
            self.tokens += cell_numbers(chunk.key, chunk.cells)

    def extend(self, tokens: Iterable[int]) -> None:
        """Adds text at the end."""
        self.tokens += tokens
