"""The attempts of one request at the scheduler: submitted, followed, begun again while that is safe, cancelled."""

import asyncio
import time
from dataclasses import dataclass
from enum import Enum

import grpc.aio

from gateway.errors import unavailable
from gateway.links.dropped_calls import RETRY_PAUSE_S, ask, is_dropped
from gateway.links.token_stream import Inbox, SubmitBroken
from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc

log = get_logger()

SCHEDULER_AWAY = "the scheduler is not available"
ATTEMPTS = 3
"""Workers that one request may lose. One that loses more is taken for what kills them."""


class Outcome(Enum):
    """How one call of Submit ended."""

    ENDED = "the request has ended, and its reader knows"
    FAILED = "the attempt has failed, another one may succeed"
    BROKEN = "the call broke off, the attempt may go on"


@dataclass(slots=True)
class Progress:
    """How far a request has come. Times are nanoseconds on the monotonic clock; 0 = not yet."""

    submitted_ns: int = 0
    running_ns: int = 0
    """When a slot took the request, in its latest attempt."""
    waited_for_load: bool = False

    @property
    def waited_ns(self) -> int:
        """How long the request waited for its slot."""
        return self.running_ns - self.submitted_ns

    def see(self, event: pb.RequestEvent) -> None:
        match event.WhichOneof("event"):
            case "loading":
                self.waited_for_load = True
            case "running":
                self.mark_running()
            case _:
                pass

    def mark_running(self) -> None:
        self.running_ns = self.running_ns or time.monotonic_ns()


class Attempts:
    """Makes the attempts of one request and puts the scheduler's events into its reader's inbox.

    A reader notices nothing of an attempt that another one replaces.
    """

    def __init__(
        self, channel: grpc.aio.Channel, settings: Settings, request: pb.SubmitRequest, progress: Progress, inbox: Inbox
    ) -> None:
        self._channel = channel
        self._stub = serving_pb2_grpc.SchedulerStub(channel)
        self._settings = settings
        self._request = request
        self._progress = progress
        self._inbox = inbox
        self.is_orphan = False
        """Whether an attempt runs on that no call to the scheduler would cancel by its end."""

    async def follow(self) -> None:
        """Makes attempts until the request has ended. An error of its own goes into the inbox."""
        try:
            await self._follow()
        except Exception as error:
            self._inbox.put(error)

    async def cancel(self) -> None:
        """Cancels the attempt at a scheduler that did not see its Submit call, or that may not see the call's end: it
        may have died and been replaced a moment ago."""
        request = pb.CancelRequest(request_id=self._request.request_id, attempt=self._request.attempt)
        try:
            await ask(self._stub.Cancel, request, seconds(self._settings.submit_timeout_ns))
        except grpc.aio.AioRpcError as error:
            log.warning("request not cancelled", id=f"{request.request_id:016x}", reason=error.details())

    async def _follow(self) -> None:
        deadline = asyncio.get_running_loop().time() + seconds(self._settings.submit_timeout_ns)
        while (outcome := await self._submit()) is not Outcome.ENDED:
            if outcome is Outcome.BROKEN and (self._progress.running_ns or self._inbox.has_output):
                self.is_orphan = True
                self._inbox.put(SubmitBroken())
                return
            if not await self._wait_for_scheduler(deadline):
                raise unavailable(SCHEDULER_AWAY)
            if outcome is Outcome.BROKEN:
                await self.cancel()  # the attempt may run without our knowing
            self._begin_next()

    def _begin_next(self) -> None:
        self._request.attempt += 1
        self._inbox.attempt = self._request.attempt
        self._progress.running_ns = 0

    async def _submit(self) -> Outcome:
        """Follows one call of Submit to its end."""
        call = self._stub.Submit(self._request)
        try:
            async for event in call:
                if self._may_begin_again(event):
                    return Outcome.FAILED
                self._progress.see(event)
                self._inbox.put(event)
                if event.WhichOneof("event") in ("finished", "lost", "rejected"):
                    return Outcome.ENDED
            return Outcome.BROKEN
        except grpc.aio.AioRpcError as error:
            if not is_dropped(error):
                raise
            return Outcome.BROKEN
        finally:
            call.cancel()

    def _may_begin_again(self, event: pb.RequestEvent) -> bool:
        """Whether `event` ends an attempt that another one may replace. After a lost worker one may, unless the request
        had output or has lost too many workers."""
        match event.WhichOneof("event"):
            case "rejected":
                return event.rejected.code == pb.Rejected.CODE_UNAVAILABLE
            case "lost":
                return not self._inbox.has_output and self._request.attempt + 1 < ATTEMPTS
            case _:
                return False

    async def _wait_for_scheduler(self, deadline: float) -> bool:
        """Waits until the scheduler can be reached again. False when the deadline has passed."""
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.sleep(RETRY_PAUSE_S)
                await self._channel.channel_ready()
        except TimeoutError:
            return False
        return True
