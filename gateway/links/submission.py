"""One request to the scheduler, as its reader sees it: output as it arrives, whatever attempt it comes from."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import grpc.aio

from gateway.errors import QUEUE_FULL, WORKER_STOPPED, GatewayError, busy, failed, internal, invalid, unavailable
from gateway.links.attempts import SCHEDULER_AWAY, Attempts, Progress
from gateway.links.token_stream import Inbox, Item, SubmitBroken, TokenStream, UnreadLimit
from gateway.links.works import Works
from remuda.durations import seconds
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2


@dataclass(frozen=True, slots=True)
class Output:
    """The pieces that had arrived when the reader came for them, in their order."""

    pieces: list[wire_pb2.TokenPiece]

    @property
    def text(self) -> str:
        return "".join([piece.text for piece in self.pieces])

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple([token for piece in self.pieces for token in piece.tokens])

    @property
    def embeddings(self) -> list[wire_pb2.Embedding]:
        return [embedding for piece in self.pieces for embedding in piece.embeddings]

    @property
    def finished(self) -> pb.Finished | None:
        """The end of the request, if it is there."""
        last = self.pieces[-1]
        return last.finished if last.HasField("finished") else None


@dataclass(slots=True)
class Submission:
    """One request. `outputs` runs it."""

    channel: grpc.aio.Channel
    tokens: TokenStream
    works: Works
    settings: Settings
    request: pb.SubmitRequest
    work: bytes
    """A serialized wire.Work."""
    unread_limit: UnreadLimit | None = None
    """Where a client that does not read may hold up the reader."""
    progress: Progress = field(default_factory=Progress)
    _patience_s: float | None = field(default=None, init=False)
    """How long the reader waits for the next item; None = without limit."""

    @property
    def id(self) -> int:
        return self.request.request_id

    async def outputs(self) -> AsyncGenerator[Output]:
        """Output as it arrives, the last one with `finished`. Raises GatewayError. Closing the iterator cancels."""
        self.progress.submitted_ns = time.monotonic_ns()
        with self.tokens.inbox(self.id, self.unread_limit) as inbox, self.works.given(self.request, self.work):
            attempts = Attempts(self.channel, self.settings, self.request, self.progress, inbox)
            follower = asyncio.create_task(attempts.follow())
            has_ended = False
            try:
                while not has_ended:
                    if pieces := self._read(await self._take(inbox)):
                        self._drop_work()
                        output = Output(pieces)
                        yield output
                        has_ended = output.finished is not None
            finally:
                may_run = attempts.is_orphan or not follower.done()
                follower.cancel()
                await asyncio.wait((follower,))
                if may_run and not has_ended and self.progress.running_ns:
                    await attempts.cancel()

    def _drop_work(self) -> None:
        """Forgets the work once there is output: no other attempt will need it."""
        if self.work:
            self.works.drop(self.id)
            self.work = b""

    async def _take(self, inbox: Inbox) -> list[Item]:
        """The next items. Raises GatewayError when the reader's patience is over."""
        if self._patience_s is None:
            return await inbox.take()
        try:
            async with asyncio.timeout(self._patience_s):
                return await inbox.take()
        except TimeoutError:
            raise failed(WORKER_STOPPED) from None

    def _read(self, items: list[Item]) -> list[wire_pb2.TokenPiece]:
        """The pieces among `items`. Raises GatewayError where one of them tells of a failure."""
        pieces: list[wire_pb2.TokenPiece] = []
        for item in items:
            match item:
                case wire_pb2.TokenPiece():
                    self.progress.mark_running()
                    _raise_failure(item)
                    pieces.append(item)
                case pb.RequestEvent():
                    self._see_event(item)
                case SubmitBroken():
                    self._patience_s = seconds(self.settings.orphan_timeout_ns)
                case _:
                    raise item
        return pieces

    def _see_event(self, event: pb.RequestEvent) -> None:
        match event.WhichOneof("event"):
            case "finished":  # the end itself comes with the last piece
                self._patience_s = seconds(self.settings.last_piece_timeout_ns)
            case "lost":
                raise failed(WORKER_STOPPED)
            case "rejected":
                raise rejection(event.rejected)
            case _:
                pass


def new_request_id() -> int:
    """Unique over all gateways, never 0."""
    return secrets.randbits(63) | 1 << 63


def rejection(rejected: pb.Rejected) -> GatewayError:
    """The client's error for a request that the scheduler refused."""
    match rejected.code:
        case pb.Rejected.CODE_QUEUE_FULL:
            return busy(QUEUE_FULL)
        case pb.Rejected.CODE_LOAD_FAILED:
            return internal(rejected.message)
        case _:
            return unavailable(rejected.message or SCHEDULER_AWAY)


def _raise_failure(piece: wire_pb2.TokenPiece) -> None:
    """Raises GatewayError for the last piece of a request that failed."""
    finished = piece.finished
    if piece.HasField("finished") and finished.reason == pb.FINISH_REASON_ERROR:
        raise (invalid if finished.invalid else failed)(finished.error or WORKER_STOPPED)
