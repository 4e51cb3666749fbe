"""A report on several rounds: medians, spread, ratios between contenders, and reached aims."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from loadtests.aims import Aim
from loadtests.contenders import REMUDA


@dataclass(frozen=True, slots=True)
class Figure:
    """A column of the report."""

    key: str  # in a round's values
    title: str
    digits: int = 0  # after the point
    as_ratio: bool = False  # whether ratios between contenders are shown


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
        """Returns `812 (790–830)`, or the median alone without a spread."""
        middle = f"{self.median:,.{digits}f}"
        if self.low == self.high:
            return middle
        return f"{middle} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of a run."""

    title: str
    figures: tuple[Figure, ...]
    facts: Mapping[str, Any]  # the conditions of the run
    samples: list[RoundFigures]
    aims: tuple[Aim, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()  # contenders with a ratio; empty = Remuda and each other

    def rows(self) -> list[list[str]]:
        """Returns a row for each case and contender, and one for each ratio."""
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
        """Returns a row for each measured aim."""
        rows: list[list[str]] = []
        for aim in self.aims:
            values = self._series(aim.case, aim.contender, aim.key)
            if aim.over:
                values = divided(values, self._series(aim.case, aim.over, aim.key))
            if values:
                spread = Spread.of(values.values())
                verdict = "reached" if aim.reached(spread.median) else "missed"
                rows.append([aim.case, aim.row, self._title(aim.key), aim.bound, spread.text(2), verdict])
        return rows

    def document(self) -> dict[str, Any]:
        """Returns everything for a JSON file, each round's figures included."""
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
        series = [(self._series(case, contender, figure.key), figure.digits) for figure in self.figures]
        return [Spread.of(values.values()).text(digits) if values else "" for values, digits in series]

    def _ratios(self, case: str, name: str, other: str) -> list[str]:
        return [self._ratio(case, name, other, figure) if figure.as_ratio else "" for figure in self.figures]

    def _ratio(self, case: str, name: str, other: str, figure: Figure) -> str:
        ratios = divided(*(self._series(case, each, figure.key) for each in (name, other)))
        return Spread.of(ratios.values()).text(2) if ratios else ""


def divided(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[int, float]:
    """Divides round by round: a slow round then slows both contenders."""
    return {index: ours[index] / theirs[index] for index in ours if theirs.get(index)}
