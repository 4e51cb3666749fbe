"""One request at the scheduler: submitted, followed, resubmitted while that is safe, cancelled when nobody reads on."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import Enum

import grpc
import grpc.aio

from gateway.errors import QUEUE_FULL, WORKER_STOPPED, GatewayError, busy, failed, internal, invalid, unavailable
from gateway.generation.events import TokenLogprob
from gateway.generation.logprobs import LogprobAligner
from gateway.links.token_stream import Inbox, Item, SubmitBroken, TokenStream, UnreadLimit
from remuda.durations import NANOSECONDS
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc, wire_pb2

log = get_logger()

SCHEDULER_AWAY = "the scheduler is not available"
RETRY_PAUSE_S = 0.05
"""Between two attempts to submit, where the channel stands but the scheduler refuses."""

ATTEMPTS = 3
"""Workers that one request may lose before it is taken for what kills them."""


class Outcome(Enum):
    """How one call of Submit ended."""

    ENDED = "the request has ended, and its reader knows"
    OVER = "this attempt has come to nothing, another one may"
    BROKEN = "the call broke off, the attempt may go on"


@dataclass(slots=True)
class Batch:
    """All output that is ready, and the end if it is there."""

    text: str
    finished: pb.Finished | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    embeddings: tuple[wire_pb2.Embedding, ...] = ()
    tokens: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.finished or self.logprobs or self.embeddings or self.tokens)


@dataclass(slots=True)
class Submission:
    """One request. `batches` runs it; the times (monotonic, 0 = not yet) tell when it was submitted and when a slot
    took it, `waited_for_load` what it waited for meanwhile."""

    channel: grpc.aio.Channel
    tokens: TokenStream
    settings: Settings
    request: pb.SubmitRequest
    aligner: LogprobAligner | None = None
    """Where log-probabilities were asked for."""
    wants_tokens: bool = False
    """Whether batches carry the ids of the tokens."""
    unread_limit: UnreadLimit | None = None
    """Where the reader may be held up, by a client that does not read."""
    submitted_ns: int = 0
    running_ns: int = 0
    waited_for_load: bool = False
    _patience_s: float | None = field(default=None, init=False)
    _is_orphan: bool = field(default=False, init=False)
    """Runs on, but no call to the scheduler would cancel it by its end."""

    @property
    def id(self) -> int:
        return self.request.request_id

    async def batches(self) -> AsyncGenerator[Batch]:
        """Text as it comes; the last batch carries `finished`. Raises GatewayError. Closing the iterator cancels."""
        self.submitted_ns = time.monotonic_ns()
        with self.tokens.inbox(self.id, self.unread_limit) as inbox:
            follower = asyncio.create_task(self._follow(inbox))
            try:
                while True:
                    batch = await self._next_batch(inbox)
                    if not batch.is_empty:
                        yield batch
                    if batch.finished:
                        self._is_orphan = False
                        return
            finally:
                follower.cancel()
                await asyncio.wait((follower,))
                if self._is_orphan:
                    await self._cancel()

    async def _next_batch(self, inbox: Inbox) -> Batch:
        batch = Batch("")
        for item in await self._take(inbox):
            match item:
                case wire_pb2.TokenPiece():
                    self._see_piece(item, batch)
                case pb.RequestEvent():
                    self._see_event(item)
                case SubmitBroken():
                    self._patience_s = self.settings.orphan_timeout_ns / NANOSECONDS["s"]
                case _:
                    raise item
        return batch

    async def _take(self, inbox: Inbox) -> list[Item]:
        if self._patience_s is None:
            return await inbox.take()
        try:
            async with asyncio.timeout(self._patience_s):
                return await inbox.take()
        except TimeoutError:
            raise failed(WORKER_STOPPED) from None

    def _see_piece(self, piece: wire_pb2.TokenPiece, batch: Batch) -> None:
        self._mark_running()
        batch.text = batch.text + piece.text if batch.text else piece.text
        if self.aligner is not None:
            batch.logprobs += self.aligner.feed(piece)
        if self.wants_tokens:
            batch.tokens += tuple(piece.tokens)
        if piece.embeddings:
            batch.embeddings += tuple(piece.embeddings)
        if piece.HasField("finished"):
            batch.finished = piece.finished
            if piece.finished.reason == pb.FINISH_REASON_ERROR:
                raise (invalid if piece.finished.invalid else failed)(piece.finished.error or WORKER_STOPPED)

    def _see_event(self, event: pb.RequestEvent) -> None:
        match event.WhichOneof("event"):
            case "loading":
                self.waited_for_load = True
            case "running":
                self._mark_running()
            case "finished":  # the end itself comes with the last piece
                self._patience_s = self.settings.last_piece_timeout_ns / NANOSECONDS["s"]
            case "lost":
                raise failed(WORKER_STOPPED)
            case "rejected":
                raise rejection(event.rejected)
            case _:
                pass

    def _mark_running(self) -> None:
        self.running_ns = self.running_ns or time.monotonic_ns()

    async def _follow(self, inbox: Inbox) -> None:
        """The follower's task: whatever goes wrong in it reaches the reader."""
        try:
            await self._follow_attempts(inbox)
        except Exception as error:
            inbox.put(error)

    async def _follow_attempts(self, inbox: Inbox) -> None:
        """Feeds the scheduler's events into the inbox; submits again while nothing of the request was told yet."""
        give_up = asyncio.get_running_loop().time() + self.settings.submit_timeout_ns / NANOSECONDS["s"]
        while (outcome := await self._submit(inbox)) is not Outcome.ENDED:
            if outcome is Outcome.BROKEN and self.running_ns:
                self._is_orphan = True
                inbox.put(SubmitBroken())
                return
            if not await self._wait_for_scheduler(give_up):
                raise unavailable(SCHEDULER_AWAY)
            if outcome is Outcome.BROKEN:
                await self._cancel()  # the attempt may run without our knowing
            inbox.attempt = self.request.attempt = self.request.attempt + 1
            self.running_ns = 0

    async def _submit(self, inbox: Inbox) -> Outcome:
        """Follows one call to its end."""
        call = serving_pb2_grpc.SchedulerStub(self.channel).Submit(self.request)
        try:
            async for event in call:
                if event.HasField("rejected") and event.rejected.code == pb.Rejected.CODE_UNAVAILABLE:
                    return Outcome.OVER
                if event.HasField("lost") and self._can_begin_again(inbox):
                    return Outcome.OVER
                if event.HasField("running"):
                    self._mark_running()
                inbox.put(event)
                if event.WhichOneof("event") in ("finished", "lost", "rejected"):
                    return Outcome.ENDED
            return Outcome.BROKEN
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return Outcome.BROKEN
        finally:
            call.cancel()

    def _can_begin_again(self, inbox: Inbox) -> bool:
        """Whether a request whose worker has died can start from the beginning: nothing of it was told yet, and it is
        not what kills the workers."""
        return not inbox.has_output and self.request.attempt + 1 < ATTEMPTS

    async def _cancel(self) -> None:
        """Cancels the attempt at a scheduler that did not see its Submit call."""
        request = pb.CancelRequest(request_id=self.id, attempt=self.request.attempt)
        timeout = self.settings.submit_timeout_ns / NANOSECONDS["s"]
        try:
            await serving_pb2_grpc.SchedulerStub(self.channel).Cancel(request, timeout=timeout, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            log.warning("request not cancelled", id=f"{self.id:016x}", reason=error.details())

    async def _wait_for_scheduler(self, give_up: float) -> bool:
        """Waits until the scheduler can be reached again; False when the time is up."""
        try:
            async with asyncio.timeout_at(give_up):
                await asyncio.sleep(RETRY_PAUSE_S)
                await self.channel.channel_ready()
        except TimeoutError:
            return False
        return True


def new_request_id() -> int:
    """Unique over all gateways, never 0."""
    return secrets.randbits(63) | 1 << 63


def rejection(rejected: pb.Rejected) -> GatewayError:
    """What the client is told when the scheduler refused its request."""
    match rejected.code:
        case pb.Rejected.CODE_QUEUE_FULL:
            return busy(QUEUE_FULL)
        case pb.Rejected.CODE_LOAD_FAILED:
            return internal(rejected.message)
        case _:
            return unavailable(rejected.message or SCHEDULER_AWAY)
