"""Shows a report in the terminal, and saves it as Markdown and JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtests.report import Report

WIDTH = 180
"""Columns that the widest table needs. A narrower terminal wraps its lines, but cuts no figure."""
VERDICT = ("case", "contender", "figure", "aim", "measured", "")


def show(report: Report) -> None:
    """Prints the tables to the terminal."""
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(_table(report.title, report.titles(), report.rows()))
    if verdicts := report.verdicts():
        console.print(_table("Aims", VERDICT, verdicts))
    console.print(_facts(report), style="dim")


def markdown(reports: Sequence[Report]) -> str:
    """Returns the tables for `docs/performance.md`."""
    return "\n".join(_section(report) for report in reports)


def save(reports: Sequence[Report], json_file: Path | None, markdown_file: Path | None) -> None:
    """Writes the files. None = no such file."""
    if json_file is not None:
        documents = [report.document() for report in reports]
        json_file.write_text(json.dumps(documents, indent=1, ensure_ascii=False) + "\n")
    if markdown_file is not None:
        markdown_file.write_text(markdown(reports))


def _section(report: Report) -> str:
    parts = [f"### {report.title}", _markdown_table(report.titles(), report.rows())]
    if verdicts := report.verdicts():
        parts.append(_markdown_table(VERDICT, verdicts))
    return "\n\n".join([*parts, _facts(report)]) + "\n"


def _markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _table(title: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title)
    for each in titles:
        table.add_column(each, no_wrap=True)
    previous = ""
    for row in rows:
        if previous not in ("", row[0]):
            table.add_section()
        previous = row[0]
        table.add_row(*row, style="bold" if "÷" in row[1] else None)
    return table


def _facts(report: Report) -> str:
    return ", ".join(f"{name}: {value}" for name, value in report.facts.items())
