"""Times as Ollama spells them: RFC 3339 with up to nine digits of a second."""

import datetime
import time

NANOSECONDS_PER_SECOND = 1_000_000_000
NEVER_NS = (1 << 63) - 1
"""Ollama dates the expiry of a model that never expires so far ahead: about 292 years."""


def utc_time(at_ns: int | None = None) -> str:
    """RFC 3339 in UTC with up to nine digits of a second. `at_ns` is a Unix time; None = now."""
    return _rfc3339(time.time_ns() if at_ns is None else at_ns, datetime.UTC) + "Z"


def local_time(at_ns: int) -> str:
    """RFC 3339 with this machine's offset from UTC. `at_ns` is a Unix time."""
    local = datetime.datetime.fromtimestamp(at_ns // NANOSECONDS_PER_SECOND, datetime.UTC).astimezone()
    offset = local.isoformat()[-6:]
    return _rfc3339(at_ns, local.tzinfo) + ("Z" if offset == "+00:00" else offset)


def _rfc3339(at_ns: int, zone: datetime.tzinfo | None) -> str:
    seconds, nanoseconds = divmod(at_ns, NANOSECONDS_PER_SECOND)
    text = datetime.datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{nanoseconds:09d}".rstrip("0") if nanoseconds else text


class Clock:
    """The `created_at` of a stream's chunks. Formats the date once a second, not once a token."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second, self._prefix = -1, ""

    def now(self) -> str:
        seconds, nanoseconds = divmod(time.time_ns(), NANOSECONDS_PER_SECOND)
        if seconds != self._second:
            self._second = seconds
            self._prefix = _rfc3339(seconds * NANOSECONDS_PER_SECOND, datetime.UTC)
        return f"{self._prefix}.{nanoseconds:09d}".rstrip("0") + "Z" if nanoseconds else self._prefix + "Z"
