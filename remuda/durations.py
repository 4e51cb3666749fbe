"""Durations in nanoseconds, and as Go writes them ("1h30m", "300ms"): so do Ollama's clients and settings."""

import re

FOREVER = -1
"""The keep-alive that never ends. Any negative duration means the same."""

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
"""The longest duration that Go can hold, in nanoseconds."""
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµμ]*)")


def parse_duration(text: str) -> int:
    """Reads a Go duration as nanoseconds. Raises ValueError with the message of Go's time.ParseDuration."""
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


def go_duration(ns: int) -> str:
    """Nanoseconds as Go writes them: `1m2.5s`, `1.234567ms`."""
    whole, fraction = divmod(ns, NANOSECONDS["s"])
    if whole == 0:
        return _below_a_second(ns)
    hours, minutes = whole // 3600, whole % 3600 // 60
    prefix = f"{hours}h{minutes}m" if hours else (f"{minutes}m" if minutes else "")
    return f"{prefix}{_decimal(whole % 60 * NANOSECONDS['s'] + fraction, NANOSECONDS['s'])}s"


def _below_a_second(ns: int) -> str:
    for unit in ("ms", "µs", "ns"):
        if ns >= NANOSECONDS[unit]:
            return f"{_decimal(ns, NANOSECONDS[unit])}{unit}"
    return "0s"


def _decimal(value: int, factor: int) -> str:
    """`value / factor`, for a power of ten, without trailing zeros and without rounding."""
    whole, rest = divmod(value, factor)
    digits = f"{rest:0{len(str(factor)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
