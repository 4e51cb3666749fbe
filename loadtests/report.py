"""Figures of several rounds: medians, spread, ratios between contenders, and whether the aims are reached."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from loadtests.aims import Aim
from loadtests.contenders import REMUDA


@dataclass(frozen=True, slots=True)
class Figure:
    """A column: the metric's key in a sample, its title, the digits after the point, and whether ratios between
    contenders are shown."""

    key: str
    title: str
    digits: int = 0
    as_ratio: bool = False


@dataclass(frozen=True, slots=True)
class RoundFigures:
    """One contender's figures in one round of one case, such as "8 streams"."""

    case: str
    contender: str
    round: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds and the extremes."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        ordered = sorted(values)
        return cls(median(ordered), ordered[0], ordered[-1])

    def text(self, digits: int) -> str:
        """`812 (790–830)`; the median alone when there is no spread."""
        middle = f"{self.median:,.{digits}f}"
        if self.low == self.high:
            return middle
        return f"{middle} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


@dataclass(frozen=True, slots=True)
class Report:
    """All samples of a run. `facts` say under which conditions they were taken. `pairs` are the contenders whose
    ratios are shown; without any, Remuda's to each other."""

    title: str
    figures: tuple[Figure, ...]
    facts: Mapping[str, Any]
    samples: list[RoundFigures]
    aims: tuple[Aim, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    def rows(self) -> list[list[str]]:
        """One row for each case and contender, one for each ratio."""
        rows: list[list[str]] = []
        for case in dict.fromkeys(sample.case for sample in self.samples):
            contenders = list(dict.fromkeys(sample.contender for sample in self.samples if sample.case == case))
            rows += [[case, name, *self._values(case, name)] for name in contenders]
            for name, other in self.pairs or [(REMUDA, other) for other in contenders if other != REMUDA]:
                if {name, other} <= set(contenders):
                    rows.append([case, f"{name} ÷ {other}", *self._ratios(case, name, other)])
        return rows

    def titles(self) -> list[str]:
        return ["case", "contender", *(figure.title for figure in self.figures)]

    def verdicts(self) -> list[list[str]]:
        """One row for each aim that was measured."""
        rows: list[list[str]] = []
        for aim in self.aims:
            values = self._series(aim.case, aim.contender, aim.key)
            if aim.over:
                values = divided(values, self._series(aim.case, aim.over, aim.key))
            if values:
                found = Spread.of(values.values())
                said = "reached" if aim.reached(found.median) else "missed"
                rows.append([aim.case, aim.row, self._title(aim.key), aim.bound, found.text(2), said])
        return rows

    def document(self) -> dict[str, Any]:
        """Everything for a JSON file, each round's figures included."""
        return {
            "title": self.title,
            "facts": dict(self.facts),
            "figures": [asdict(figure) for figure in self.figures],
            "samples": [asdict(sample) for sample in self.samples],
            "table": [dict(zip(self.titles(), row, strict=True)) for row in self.rows()],
            "aims": self.verdicts(),
        }

    def _title(self, key: str) -> str:
        return next(figure.title for figure in self.figures if figure.key == key)

    def _series(self, case: str, contender: str, key: str) -> dict[int, float]:
        return {
            sample.round: sample.values[key]
            for sample in self.samples
            if (sample.case, sample.contender) == (case, contender) and key in sample.values
        }

    def _values(self, case: str, contender: str) -> list[str]:
        found = [(self._series(case, contender, figure.key), figure.digits) for figure in self.figures]
        return [Spread.of(values.values()).text(digits) if values else "" for values, digits in found]

    def _ratios(self, case: str, name: str, other: str) -> list[str]:
        return [self._ratio(case, name, other, figure) if figure.as_ratio else "" for figure in self.figures]

    def _ratio(self, case: str, name: str, other: str, figure: Figure) -> str:
        ratios = divided(*(self._series(case, each, figure.key) for each in (name, other)))
        return Spread.of(ratios.values()).text(2) if ratios else ""


def divided(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[int, float]:
    """Round by round, so that what slows a whole round down does not count."""
    return {index: ours[index] / theirs[index] for index in ours if theirs.get(index)}
