"""Images and sounds in prompts, by llama.cpp's mtmd.

A projector encodes them beside the steps. The engine puts their embeddings into the KV cache, at their cells' places in
the prompt.
"""

from workers.engine.media.cells import cell_numbers
from workers.engine.media.decode import decode_cells
from workers.engine.media.encoder import MediaEncoder
from workers.engine.media.files import MediaError, MediaLimits
from workers.engine.media.positions import Positions
from workers.engine.media.projector import Projector, ProjectorOptions, projector_params
from workers.engine.media.prompt import MediaChunk, MediaPrompt, MediaSpan, Places, Segment, TextChunk

__all__ = [
    "MediaChunk",
    "MediaEncoder",
    "MediaError",
    "MediaLimits",
    "MediaPrompt",
    "MediaSpan",
    "Places",
    "Positions",
    "Projector",
    "ProjectorOptions",
    "Segment",
    "TextChunk",
    "cell_numbers",
    "decode_cells",
    "projector_params",
]
