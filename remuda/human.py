"""Sizes and times in the words of Ollama's command."""

from datetime import datetime

UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3))
BINARY_UNITS = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
SECOND, MINUTE, HOUR = 1, 60, 3600
FAR_AWAY = 20 * 365 * 24 * HOUR
"""Seconds after which a moment counts as `Forever`."""


def human_bytes(size: int) -> str:
    """A size in powers of 1000: `999 B`, `1.5 GB`, `12 MB`."""
    for unit, factor in UNITS:
        if size >= factor:
            value = size / factor
            return f"{int(value)} {unit}" if value >= 10 or size % factor == 0 else f"{value:.1f} {unit}"
    return f"{size} B"


def binary_bytes(size: int) -> str:
    """A size in powers of 1024, as memory is counted: `15.6 GiB`."""
    for unit, factor in BINARY_UNITS:
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def human_duration(seconds: float) -> str:
    """A length of time in words: `About a minute`, `3 hours`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < MINUTE:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if whole < HOUR:
        return "About a minute" if whole < 2 * MINUTE else f"{whole // MINUTE} minutes"
    return _many_hours(int(seconds / HOUR + 0.5))


def _many_hours(hours: int) -> str:
    if hours == 1:
        return "About an hour"
    for limit, size, unit in ((48, 1, "hours"), (336, 24, "days"), (1440, 168, "weeks"), (17520, 720, "months")):
        if hours < limit:
            return f"{hours // size} {unit}"
    return f"{hours // 8760} years"


def human_time(moment: datetime | None, now: datetime) -> str:
    """The distance of a moment from now: `2 days ago`, `4 minutes from now`, `Never`, `Forever`."""
    if moment is None or moment.year <= 1:
        return "Never"
    ahead = (moment - now).total_seconds()
    if ahead > FAR_AWAY:
        return "Forever"
    return f"{human_duration(ahead)} from now" if ahead > 0 else f"{human_duration(-ahead)} ago"
