"""Aims: bounds that figures should reach."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound for one contender's figure in one case, or for its ratio to another contender's (`over`)."""

    case: str
    contender: str
    key: str
    over: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def row(self) -> str:
        return f"{self.contender} ÷ {self.over}" if self.over else self.contender

    @property
    def bound(self) -> str:
        bounds = (("≥", self.at_least), ("≤", self.at_most))
        return " and ".join(f"{sign} {value:g}" for sign, value in bounds if value is not None)

    def reached(self, value: float) -> bool:
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)
