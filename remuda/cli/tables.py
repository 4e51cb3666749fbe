"""Tables as Ollama's command prints them: left aligned, no borders, scripts cut them at the runs of spaces."""

from collections.abc import Sequence

GAP = "    "


def render_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Every cell is padded to its column and followed by four spaces; the header's last cell by one."""
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    first = GAP.join(cell.ljust(width) for cell, width in zip(header, widths, strict=True)) + " "
    return "\n".join([first, *("".join(c.ljust(w) + GAP for c, w in zip(row, widths, strict=True)) for row in rows)])
