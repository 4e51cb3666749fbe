"""Numbers and times as people read them, in the words of Ollama's command."""

from datetime import datetime

UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3))
BINARY_UNITS = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
GO_UNITS = (("ms", 1_000_000), ("µs", 1_000), ("ns", 1))
SECOND, MINUTE, HOUR = 1, 60, 3600
FAR_AWAY = 20 * 365 * 24 * HOUR


def human_bytes(size: int) -> str:
    """Powers of 1000: `999 B`, `1.5 GB`, `12 MB`."""
    for unit, factor in UNITS:
        if size >= factor:
            value = size / factor
            return f"{int(value)} {unit}" if value >= 10 or size % factor == 0 else f"{value:.1f} {unit}"
    return f"{size} B"


def binary_bytes(size: int) -> str:
    """Powers of 1024, as memory is counted: `15.6 GiB`."""
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
    """When something was or will be: `2 days ago`, `4 minutes from now`, `Never`, `Forever`."""
    if moment is None or moment.year <= 1:
        return "Never"
    ahead = (moment - now).total_seconds()
    if ahead > FAR_AWAY:
        return "Forever"
    return f"{human_duration(ahead)} from now" if ahead > 0 else f"{human_duration(-ahead)} ago"


def go_duration(nanoseconds: int) -> str:
    """A duration as Go writes it: `1m2.5s`, `1.234567ms`."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    if seconds == 0:
        for unit, factor in GO_UNITS:
            if nanoseconds >= factor:
                return f"{_decimal(nanoseconds, factor)}{unit}"
        return "0s"
    hours, minutes = seconds // HOUR, seconds % HOUR // MINUTE
    prefix = f"{hours}h{minutes}m" if hours else (f"{minutes}m" if minutes else "")
    return f"{prefix}{_decimal(seconds % MINUTE * 1_000_000_000 + fraction, 1_000_000_000)}s"


def _decimal(value: int, factor: int) -> str:
    """value / factor without trailing zeros and without rounding."""
    whole, rest = divmod(value, factor)
    digits = f"{rest:0{len(str(factor)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
