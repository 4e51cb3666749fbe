"""How to draw from one row of logits."""

from dataclasses import dataclass

from workers.engine.sampling.mirostat import Mirostat
from workers.engine.sampling.params import SamplingParams


@dataclass(frozen=True, slots=True)
class Draw:
    """The parameters and the past of one draw."""

    params: SamplingParams
    recent: list[int]  # the tokens before this draw, at least as many as penalties look back at
    number: int  # of the request's random number to use
    mirostat: Mirostat | None = None  # draws in place of the filters, and learns from the draw
