"""Go durations ("1h30m", "300ms"), as Ollama's clients and settings write them. All results are integer nanoseconds."""

import re

FOREVER = -1
"""The keep-alive that never ends; any negative duration means the same."""

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
LONGEST = (1 << 63) - 1
"""The longest duration that Go can hold."""
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµμ]*)")


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration. Raises ValueError with the message of Go's time.ParseDuration."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, position = 0, 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if term is None:
            raise ValueError(f'time: invalid duration "{text}"')
        number, unit = term.groups()
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in NANOSECONDS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        scaled = float(number) * NANOSECONDS[unit]
        if total + scaled > LONGEST:
            raise ValueError(f'time: invalid duration "{text}"')
        total += round(scaled)
        position = term.end()
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total


def seconds(ns: int) -> float:
    """Nanoseconds as the seconds that timers and sockets take."""
    return ns / NANOSECONDS["s"]
