"""What is known about a request once it has ended."""

import asyncio
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
    """Filled in by whoever knows; times are nanoseconds. `began_ns` is on the monotonic clock."""

    route: str = ""
    began_ns: int = field(default_factory=time.monotonic_ns)
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
    client_stuck: asyncio.Event = field(default_factory=asyncio.Event)
    """Set where the client is given up: too much of its reply waits for it to be read."""

    def fields(self) -> dict[str, Any]:
        """The fields of the log line."""
        known: dict[str, Any] = {"route": self.route, "status": self.status, "total_ms": _ms(self.elapsed_ns)}
        if self.error:
            known["error"] = self.error[:LOGGED_ERROR]
        if self.model:
            known["model"] = self.model[:LOGGED_NAME]
        if self.model or self.outcome:
            known["outcome"] = self.outcome
        if self.id:
            known |= {"id": f"{self.id:016x}", "queue_ms": _ms(self.queue_ns), "load_ms": _ms(self.load_ns)}
            known |= {"prefill_ms": _ms(self.prefill_ns), "decode_ms": _ms(self.decode_ns)}
            known |= {"prompt_tokens": self.prompt_tokens, "cached_tokens": self.cached_tokens, "tokens": self.tokens}
        return known

    def part(self) -> "RequestRecord":
        """The record of one of several generations that make up this request."""
        return RequestRecord(self.route, self.began_ns, client_stuck=self.client_stuck)

    def join(self, parts: "Sequence[RequestRecord]") -> None:
        """Takes over what the parts, which ran side by side, tell: their tokens together, the longest of their times,
        the id of the first."""
        self.id, self.outcome = parts[0].id, parts[0].outcome
        for name in ("queue_ns", "load_ns", "prefill_ns", "decode_ns"):
            setattr(self, name, max(getattr(part, name) for part in parts))
        for name in ("prompt_tokens", "cached_tokens", "tokens"):
            setattr(self, name, sum(getattr(part, name) for part in parts))

    @property
    def elapsed_ns(self) -> int:
        return time.monotonic_ns() - self.began_ns


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / NANOSECONDS_PER_MS, 2)
