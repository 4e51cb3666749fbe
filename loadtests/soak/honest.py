"""The honest clients: each chats with the embedded model, over and over, and notes how long that takes."""

import asyncio
import time
from dataclasses import dataclass, field

import httpx
import orjson

PAUSE_S = 0.2
"""Between an answer and the next question of a client."""
TOKENS = 24
BODY = {
    "model": "cria",
    "messages": [{"role": "user", "content": "Write a short poem about a horse in the morning."}],
    "think": False,
    "options": {"num_predict": TOKENS, "temperature": 0.8},
}
QUANTILES = (0.5, 0.9, 0.99)


@dataclass(slots=True)
class Latencies:
    """Of one phase, in milliseconds."""

    first_token: list[float] = field(default_factory=list[float])
    whole: list[float] = field(default_factory=list[float])
    failures: list[str] = field(default_factory=list[str])

    def quantiles(self, values: list[float]) -> list[float]:
        """The quantiles of `QUANTILES`; nothing where there are no values."""
        ordered = sorted(values)
        return [ordered[min(int(part * len(ordered)), len(ordered) - 1)] for part in QUANTILES] if ordered else []


async def chat(client: httpx.AsyncClient, latencies: Latencies) -> None:
    """One chat. A failure is noted, too."""
    began = time.monotonic()
    first = 0.0
    try:
        async with client.stream("POST", "/api/chat", json=BODY) as reply:
            reply.raise_for_status()
            lines: list[str] = []
            async for line in reply.aiter_lines():
                first = first or time.monotonic()
                lines.append(line)
        if not lines or not orjson.loads(lines[-1]).get("done"):
            raise ValueError("the answer broke off")
    except (httpx.HTTPError, ValueError) as error:
        latencies.failures.append(repr(error))
        return
    latencies.first_token.append(1000 * (first - began))
    latencies.whole.append(1000 * (time.monotonic() - began))


async def chats(url: str, clients: int, seconds: float) -> Latencies:
    """All clients chat for so long."""
    latencies = Latencies()
    end = time.monotonic() + seconds

    async def one() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as client:
            while time.monotonic() < end:
                await chat(client, latencies)
                await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*(one() for _ in range(clients)))
    return latencies
