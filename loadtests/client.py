"""The load: many streams from one process, `python -m loadtests.client`. It reads a Job and writes its Streams.

While streams run it only notes the time of each read, and leaves the shared cores to the server. It parses the answers
afterwards. Both servers get the same treatment.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools
import orjson
from pydantic import BaseModel, TypeAdapter

from loadtests.dialects import DIALECTS, Ask, Dialect


class Job(BaseModel):
    """The streams to run at once against a server on this machine."""

    port: int
    dialect: str
    asks: list[Ask]


class Stream(BaseModel):
    """One answer. Times are monotonic nanoseconds; `arrivals` has those of the chunks with text."""

    sent_ns: int
    arrivals: list[int]
    texts: list[str]
    token_ids: list[int]
    tokens: int
    prompt_tokens: int
    error: str


STREAMS = TypeAdapter(list[Stream])


class Countdown:
    """Calls the actions given to `then` once it has counted to its number."""

    def __init__(self, number: int) -> None:
        self._missing = number
        self._actions: list[Callable[[], None]] = []

    def count(self) -> None:
        self._missing -= 1
        if self._missing == 0:
            for action in self._actions:
                action()

    def then(self, action: Callable[[], None]) -> None:
        self._actions.append(action)


class Gate:
    """Opens when `streams` streams have passed."""

    def __init__(self, streams: int) -> None:
        self._opened = asyncio.Event()
        self._countdown = Countdown(streams)
        self._countdown.then(self._opened.set)

    def pass_one(self) -> None:
        self._countdown.count()

    async def wait(self) -> None:
        await self._opened.wait()


class Connection(asyncio.Protocol):
    """One request and its raw answer, until the server closes."""

    def __init__(self, gate: Gate | None, chunks: int) -> None:
        self.reads: list[tuple[int, bytes]] = []
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gate = gate
        self._chunks = chunks

    def data_received(self, data: bytes) -> None:
        self.reads.append((time.monotonic_ns(), data))
        if self._gate is not None and len(self.reads) == self._chunks:
            self._gate.pass_one()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._gate is not None and len(self.reads) < self._chunks:
            self._gate.pass_one()  # a stream that ends early must not hold the others up
        if not self.closed.done():  # otherwise the whole run is cancelled
            self.closed.set_result(None)


@dataclass(slots=True)
class Answer:
    """Parses one raw HTTP answer: httptools calls `on_body`."""

    dialect: Dialect
    now: int = 0
    rest: bytes = b""
    arrivals: list[int] = field(default_factory=list[int])
    texts: list[str] = field(default_factory=list[str])
    token_ids: list[int] = field(default_factory=list[int])
    tokens: int = 0
    prompt_tokens: int = 0
    error: str = ""
    done: bool = False

    def on_body(self, body: bytes) -> None:
        *lines, self.rest = (self.rest + body).split(b"\n")
        for line in lines:
            self.take(line)

    def take(self, line: bytes) -> None:
        chunk = self.dialect.read(line)
        if chunk is None:
            return
        self.error = self.error or chunk.error
        self.token_ids += chunk.token_ids
        if chunk.text:
            self.arrivals.append(self.now)
            self.texts.append(chunk.text)
        if chunk.done:
            self.done, self.tokens, self.prompt_tokens = True, chunk.tokens, chunk.prompt_tokens


async def run(job: Job) -> list[Stream]:
    """Connects all streams, then sends all requests in one go. A request with `after_chunks` waits for its gate."""
    dialect = DIALECTS[job.dialect]
    first = [ask for ask in job.asks if not ask.after_chunks]
    chunks = max((ask.after_chunks for ask in job.asks), default=0)
    gate = Gate(len(first)) if chunks else None
    late = Countdown(len(job.asks) - len(first))
    loop = asyncio.get_running_loop()

    async def exchange(ask: Ask, connected: asyncio.Barrier) -> Stream:
        if ask.after_chunks and gate is not None:
            await gate.wait()
        watched = None if ask.after_chunks else gate
        transport, connection = await loop.create_connection(lambda: Connection(watched, chunks), "127.0.0.1", job.port)
        if not ask.after_chunks:
            await connected.wait()
        sent = time.monotonic_ns()
        transport.write(request_bytes(dialect, ask))
        if ask.until_others:
            late.then(transport.close)
        await connection.closed
        if ask.after_chunks:
            late.count()
        return parse(dialect, sent, connection.reads, cut=ask.until_others)

    barrier = asyncio.Barrier(max(len(first), 1))
    return await asyncio.gather(*(exchange(ask, barrier) for ask in job.asks))


def request_bytes(dialect: Dialect, ask: Ask) -> bytes:
    body = orjson.dumps(dialect.body(ask))
    head = (
        f"POST {dialect.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def parse(dialect: Dialect, sent: int, reads: list[tuple[int, bytes]], *, cut: bool) -> Stream:
    """Parses an answer. `cut`: the client may have hung up in the middle of it."""
    answer = Answer(dialect)
    parser = httptools.HttpResponseParser(answer)
    for answer.now, data in reads:
        parser.feed_data(data)
    if answer.rest and not cut:
        answer.take(answer.rest)
    if not answer.done and not cut:
        answer.error = answer.error or "the answer broke off"
    return Stream(
        sent_ns=sent,
        arrivals=answer.arrivals,
        texts=answer.texts,
        token_ids=answer.token_ids,
        tokens=answer.tokens,
        prompt_tokens=answer.prompt_tokens,
        error=answer.error,
    )


def main() -> None:
    job = Job.model_validate_json(sys.stdin.buffer.read())
    gc.disable()
    sys.stdout.buffer.write(STREAMS.dump_json(asyncio.run(run(job))))


if __name__ == "__main__":
    main()
