"""Figures of several rounds as tables: medians, spread, and ratios between contenders."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtests.contenders import REMUDA

WIDTH = 160
"""Columns that the widest table needs: a narrower terminal wraps its lines, but no figure is cut."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A column: the metric's key in a sample, its title, the digits after the point, and whether Remuda's share of the
    other contenders' values is shown."""

    key: str
    title: str
    digits: int = 0
    as_ratio: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
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
    """All samples of a run and how to show them. `facts` say under which conditions they were taken."""

    title: str
    figures: tuple[Figure, ...]
    facts: Mapping[str, Any]
    samples: list[Sample]

    def rows(self) -> list[list[str]]:
        """One row for each case and contender, one for each ratio."""
        rows: list[list[str]] = []
        for case in dict.fromkeys(sample.case for sample in self.samples):
            contenders = list(dict.fromkeys(sample.contender for sample in self.samples if sample.case == case))
            rows += [[case, name, *self._values(case, name)] for name in contenders]
            if REMUDA in contenders:
                others = [name for name in contenders if name != REMUDA]
                rows += [[case, f"{REMUDA} ÷ {name}", *self._ratios(case, name)] for name in others]
        return rows

    def titles(self) -> list[str]:
        return ["case", "contender", *(figure.title for figure in self.figures)]

    def print(self) -> None:
        console = Console()
        console.width = max(console.width, WIDTH)
        table = Table(title=self.title)
        for title in self.titles():
            table.add_column(title, no_wrap=True)
        previous = ""
        for row in self.rows():
            if previous not in ("", row[0]):
                table.add_section()
            previous = row[0]
            table.add_row(*row, style="bold" if "÷" in row[1] else None)
        console.print(table)
        console.print(", ".join(f"{name}: {value}" for name, value in self.facts.items()), style="dim")

    def markdown(self) -> str:
        """The table for `docs/performance.md`."""
        lines = [self.titles(), ["---"] * len(self.titles()), *self.rows()]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"{table}\n\n{', '.join(f'{name}: {value}' for name, value in self.facts.items())}\n"

    def save(self, path: Path) -> None:
        """Everything as JSON, each round's figures included."""
        document = {
            "title": self.title,
            "facts": dict(self.facts),
            "figures": [asdict(figure) for figure in self.figures],
            "samples": [asdict(sample) for sample in self.samples],
            "table": [dict(zip(self.titles(), row, strict=True)) for row in self.rows()],
        }
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    def _series(self, case: str, contender: str, key: str) -> dict[int, float]:
        return {
            sample.round: sample.values[key]
            for sample in self.samples
            if (sample.case, sample.contender) == (case, contender) and key in sample.values
        }

    def _values(self, case: str, contender: str) -> list[str]:
        found = [(self._series(case, contender, figure.key), figure.digits) for figure in self.figures]
        return [Spread.of(values.values()).text(digits) if values else "" for values, digits in found]

    def _ratios(self, case: str, other: str) -> list[str]:
        return [self._ratio(case, other, figure) if figure.as_ratio else "" for figure in self.figures]

    def _ratio(self, case: str, other: str, figure: Figure) -> str:
        """Of each round first, so that what slows a whole round down does not count."""
        ours, theirs = (self._series(case, name, figure.key) for name in (REMUDA, other))
        ratios = [ours[index] / theirs[index] for index in ours if theirs.get(index)]
        return Spread.of(ratios).text(2) if ratios else ""
