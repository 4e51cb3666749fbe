"""A request's sampling parameters. Neutral values switch a filter off."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """The fields of the wire's Sampling, under the same names."""

    temperature: float = 0.8  # 0 or less = greedy
    top_k: int = 40  # 0 or less = off
    top_p: float = 0.9  # 1 or more = off
    min_p: float = 0.0  # 0 or less = off
    typical_p: float = 1.0  # 1 or more = off
    repeat_last_n: int = 64  # tokens that penalties look back at; 0 = off, negative = all
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int = 0
    mirostat: int = 0  # 1 and 2 = its versions, which replace the filters above
    mirostat_tau: float = 5.0  # its target surprise, in bits
    mirostat_eta: float = 0.1  # the part of a miss that it corrects at once

    @property
    def greedy(self) -> bool:
        return self.temperature <= 0

    @property
    def steers(self) -> bool:
        """Whether a draw influences the next one."""
        return self.mirostat in (1, 2) and not self.greedy

    @property
    def penalizes(self) -> bool:
        wants = self.repeat_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0
        return wants and self.repeat_last_n != 0
