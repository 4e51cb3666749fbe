"""What a request asks of the sampler. Neutral values switch a step off."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SamplingParams:
    temperature: float = 0.8  # 0 or less = greedy
    top_k: int = 40  # 0 or less = off
    top_p: float = 0.9  # 1 or more = off
    min_p: float = 0.0  # 0 or less = off
    typical_p: float = 1.0  # 1 or more = off
    repeat_last_n: int = 64  # tokens looked back at; 0 = off, negative = all
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int = 0
    mirostat: int = 0  # 1 and 2 are its versions, which take the place of the filters above
    mirostat_tau: float = 5.0  # the surprise that it aims at, in bits
    mirostat_eta: float = 0.1  # the part of a miss that it corrects at once

    @property
    def greedy(self) -> bool:
        return self.temperature <= 0

    @property
    def steers(self) -> bool:
        """Whether what is drawn has an influence on how the next token is."""
        return self.mirostat in (1, 2) and not self.greedy

    @property
    def penalizes(self) -> bool:
        wants = self.repeat_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0
        return wants and self.repeat_last_n != 0
