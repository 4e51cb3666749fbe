"""Tables as Ollama's command prints them: left aligned, no borders. Scripts split their rows at runs of spaces."""

from collections.abc import Sequence

GAP = "    "


def render_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Pads every cell to its column and adds four spaces. Only one space follows the header's last cell."""
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    first = GAP.join(cell.ljust(width) for cell, width in zip(header, widths, strict=True)) + " "
    return "\n".join([first, *("".join(c.ljust(w) + GAP for c, w in zip(row, widths, strict=True)) for row in rows)])
