"""The record of a request for the log. Whoever runs the request writes it; nobody decides by it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NANOSECONDS_PER_MS = 1_000_000
LOGGED_NAME = 200
"""Characters of a client's own words (route, model) that are logged at most."""
LOGGED_ERROR = 1000
"""Characters of an error text that are logged at most: some quote the client."""


@dataclass(slots=True)
class RequestRecord:
    """Durations are nanoseconds."""

    route: str = ""
    arrived_ns: int = field(default_factory=time.monotonic_ns)
    """On the monotonic clock."""
    status: int = 0
    id: int = 0
    model: str = ""
    outcome: str = ""
    """"stop", "length", "load", "unload", "embed", "cancelled" or "error"; "" for requests that run nothing."""
    error: str = ""
    queue_ns: int = 0
    load_ns: int = 0
    prefill_ns: int = 0
    decode_ns: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0

    def fields(self) -> dict[str, Any]:
        """The fields of the log line."""
        total_ns = time.monotonic_ns() - self.arrived_ns
        fields: dict[str, Any] = {"route": self.route, "status": self.status, "total_ms": _ms(total_ns)}
        if self.error:
            fields["error"] = self.error[:LOGGED_ERROR]
        if self.model:
            fields["model"] = self.model[:LOGGED_NAME]
        if self.model or self.outcome:
            fields["outcome"] = self.outcome
        if self.id:
            fields |= {"id": f"{self.id:016x}", "queue_ms": _ms(self.queue_ns), "load_ms": _ms(self.load_ns)}
            fields |= {"prefill_ms": _ms(self.prefill_ns), "decode_ms": _ms(self.decode_ns)}
            fields |= {"prompt_tokens": self.prompt_tokens, "cached_tokens": self.cached_tokens, "tokens": self.tokens}
        return fields

    def fail(self, error: str) -> None:
        """Notes that the request ended with an error."""
        self.outcome, self.error = "error", error

    def join(self, parts: "Sequence[RequestRecord]") -> None:
        """Sums up the records of parts that ran side by side: all their tokens, the longest of their times, the id and
        outcome of the first."""
        self.id, self.outcome = parts[0].id, parts[0].outcome
        for name in ("queue_ns", "load_ns", "prefill_ns", "decode_ns"):
            setattr(self, name, max(getattr(part, name) for part in parts))
        for name in ("prompt_tokens", "cached_tokens", "tokens"):
            setattr(self, name, sum(getattr(part, name) for part in parts))


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / NANOSECONDS_PER_MS, 2)
