"""What the sampler needs to know about one row of logits."""

from dataclasses import dataclass

from workers.engine.sampling.mirostat import Mirostat
from workers.engine.sampling.params import SamplingParams


@dataclass(frozen=True, slots=True)
class Draw:
    """`recent` are the tokens before the one to pick, at least as many as penalties look back at; `number` says which
    random number of the request's own is used. `mirostat` is set where it draws, and learns from it."""

    params: SamplingParams
    recent: list[int]
    number: int
    mirostat: Mirostat | None = None
