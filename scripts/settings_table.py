"""Writes docs/settings.md from remuda/settings: `python scripts/settings_table.py > docs/settings.md`."""

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

import remuda
from remuda.durations import go_duration
from remuda.settings import Settings

HEAD = """\
# Settings

Environment variables, read once when a process starts. `OLLAMA_*` have Ollama's names, meanings and ways of writing;
`REMUDA_*` are Remuda's own. Durations are written as in Go (`300ms`, `5m`) or as a number of seconds. A value that
cannot be read, or is out of its bounds, gives a warning and the default.

`scripts/settings_table.py` writes this page from `remuda/settings/`.
"""
TABLE_HEAD = """\
| variable | default | bounds | meaning |
|---|---|---|---|
"""


def main() -> None:
    sys.stdout.write(render())


def render() -> str:
    """The whole page: one section per mixin of Settings."""
    return HEAD + "".join(section(mixin) for mixin in Settings.__bases__)


def section(mixin: type) -> str:
    """The heading and the table of one mixin, in the order of its fields."""
    title = mixin.__name__.removesuffix("Settings")
    meanings = field_docstrings(mixin)
    rows = "".join(row(name, Settings.model_fields[name], meaning) for name, meaning in meanings.items())
    return f"\n## {title}\n{inspect.getdoc(mixin)}\n\n{TABLE_HEAD}{rows}"


def row(name: str, field: FieldInfo, meaning: str) -> str:
    default = default_text(name, field.get_default(call_default_factory=True))
    return f"| `{field.validation_alias}` | {default} | {Settings.bounds(name)} | {meaning} |\n"


def default_text(name: str, value: Any) -> str:
    """A default as an operator would write it."""
    if name == "embedded_model":
        value = Path(value)
    if name.endswith("_ns"):
        return f"`{go_duration(value)}`"
    if isinstance(value, Path):
        return f"`{portable(value)}`"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None or value == () or value == "" else f"`{value}`"


def portable(path: Path) -> str:
    """A default path as it reads on every machine."""
    if path == Settings.model_fields["run_dir"].default:
        return "/tmp/remuda-UID"
    for folder, word in ((Path(remuda.__file__).parents[1], ""), (Path.home(), "~/")):
        if path.is_relative_to(folder):
            return f"{word}{path.relative_to(folder)}"
    return str(path)


def field_docstrings(mixin: type) -> dict[str, str]:
    """The string below each field of a class, on one line, by the field's name. A field without one is left out."""
    (body,) = [node.body for node in ast.parse(inspect.getsource(mixin)).body if isinstance(node, ast.ClassDef)]
    docstrings: dict[str, str] = {}
    for node, after in pairwise(body):
        match node, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docstrings[name] = " ".join(text.split())
            case _:
                pass
    return docstrings


if __name__ == "__main__":
    main()
