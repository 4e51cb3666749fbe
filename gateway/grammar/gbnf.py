"""Converts llama.cpp's grammars (GBNF) to Lark.

llguidance's converter copies some escapes, characters and names unchanged, although Lark reads them differently. They
are rewritten before the conversion.
"""

import re
from collections.abc import Iterator
from itertools import count

from llguidance.gbnf_to_lark import gbnf_to_lark

CHARACTER = r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\.|[^\\]"
"""One character of a string or a set."""
TOKENS = re.compile(
    r"""
      "(?P<string>(?:\\.|[^"\\])*)(?P<quote>"?)
    | \[(?P<negation>\^?)(?P<set>(?:\\.|[^\]\\])*)(?P<bracket>\]?)
    | (?P<name>[\w-]+)(?P<defined>[ \t]*::=)?
    | \#[^\r\n]*
    | \{[^}]*
    """,
    re.VERBOSE | re.DOTALL,
)
CHARACTERS = re.compile(CHARACTER, re.DOTALL)
RANGES = re.compile(f"({CHARACTER})(?:-({CHARACTER}))?", re.DOTALL)
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "[": "[", "]": "]"}

HUMP = re.compile("([a-z])([A-Z])")
ROOT, START = "root", "start"
"""Where a grammar begins, in GBNF and in Lark."""

POSITION = re.compile(r"(at )?\d+\(\d+\): ")
SOURCE_LINE = re.compile(r"\n *\d+ \|")


def lark_of(grammar: str) -> str:
    """A GBNF grammar in Lark. Raises ValueError or an exception of the converter, with the reason as its text."""
    names = dict(_new_names(grammar))

    def rewrite(token: re.Match[str]) -> str:
        if (text := token["string"]) is not None:
            return f'"{CHARACTERS.sub(_rewrite_character, text)}{token["quote"]}'
        if (ranges := token["set"]) is not None:
            return f"[{token['negation']}{RANGES.sub(_rewrite_range, ranges)}{token['bracket']}"
        if name := token["name"]:
            return names.get(name, name) + (token["defined"] or "")
        return token[0]

    return gbnf_to_lark(TOKENS.sub(rewrite, grammar))


def without_source(reason: str) -> str:
    """llguidance's error text without positions in the Lark text and lines of it, which the client has never seen."""
    return POSITION.sub("", SOURCE_LINE.split(reason)[0], count=1)


def _new_names(grammar: str) -> Iterator[tuple[str, str]]:
    """Pairs of a rule's name that Lark cannot take and a new one. In Lark case and hyphens make no difference."""
    defined = dict.fromkeys(token["name"] for token in TOKENS.finditer(grammar) if token["defined"])
    forms = {ROOT, START}
    unfit: list[str] = []
    for name in defined:
        form = HUMP.sub(r"\1_\2", name.replace("-", "_")).lower()
        if name != ROOT and (form in forms or not (form.isascii() and form.isidentifier())):
            unfit.append(name)
        forms.add(form)
    free = (f"rule_{number}" for number in count() if f"rule_{number}" not in forms)
    return zip(unfit, free, strict=False)


def _rewrite_character(character: re.Match[str]) -> str:
    text = character[0]
    return text if text.isprintable() and len(text) == 1 else _escape(text)


def _rewrite_range(characters: re.Match[str]) -> str:
    first, last = characters.groups()
    return f"{_escape(first)}-{_escape(last)}" if last else _escape(first)


def _escape(character: str) -> str:
    """A character, escaped so that Lark reads exactly it. The converter is left to refuse unknown escapes.

    Raises ValueError for an escape that names no character.
    """
    code = _code_point(character)
    if code is None:
        return character
    return chr(code) if code > 0x7F or chr(code).isalnum() else f"\\x{code:02x}"


def _code_point(character: str) -> int | None:
    if len(character) == 1:
        return ord(character)
    if len(character) == 2:
        return ord(ESCAPED[character[1]]) if character[1] in ESCAPED else None
    code = int(character[2:], 16)
    if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        raise ValueError(f"{character} is no character")
    return code
