"""Drives the core: gives it events with the time, carries out its commands, wakes it at its deadlines."""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager

from remuda.devices import device_names
from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.v1 import serving_pb2 as pb
from scheduler import commands, events
from scheduler.core import Core
from scheduler.edge import watch
from scheduler.edge.links import Links
from scheduler.events import Event
from scheduler.model import RequestKey

log = get_logger()

TICK_S = 1.0
"""How often queue positions are told anew, and the longest that a deadline can be missed by."""

Notices = asyncio.Queue[pb.RequestEvent]


class Dispatcher:
    """Connects the core with the clock, the links and the submitters."""

    def __init__(self, core: Core, links: Links) -> None:
        self.core = core
        self._links = links
        self._submitters: dict[RequestKey, Notices] = {}
        self._deadline: asyncio.TimerHandle | None = None
        self.next_change = asyncio.Event()
        """Set at the next change of the state, and replaced by a new one then."""

    def handle(self, event: Event) -> None:
        """Gives the core one event and carries out what it says."""
        log.debug("event", kind=type(event).__name__)
        for command in self.core.handle(event, time.monotonic_ns()):
            if isinstance(command, commands.Notify):
                self._notify(command)
            else:
                _log_command(command)
                self._links.send(command)
        self.next_change.set()
        self.next_change = asyncio.Event()
        self._arm()

    @contextmanager
    def submitted(self, event: events.Submitted) -> Generator[Notices]:
        """Submits a request; yields its notices. Leaving before the last notice cancels the request."""
        key = event.request.key
        inbox = self._submitters[key] = Notices()
        self.handle(event)
        try:
            yield inbox
        finally:
            if self._submitters.pop(key, None) is not None:
                self.handle(events.Cancelled(key))

    def is_known(self, key: RequestKey) -> bool:
        """Whether this attempt was submitted and has not ended."""
        return key in self._submitters or key in self.core.state.requests

    def state(self) -> pb.SchedulerState:
        """The present state, with Unix times."""
        return watch.scheduler_state(self.core.state, time.monotonic_ns(), time.time_ns())

    async def tick(self) -> None:
        """Lets time pass for the core, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            self.handle(events.Ticked())

    def _notify(self, command: commands.Notify) -> None:
        submitter = self._submitters.get(command.key)
        if submitter is not None:
            submitter.put_nowait(command.event)
            if command.key not in self.core.state.requests:  # this was its last notice
                del self._submitters[command.key]

    def _arm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        due = self.core.next_deadline_ns
        if due is None:
            self._deadline = None
            return
        delay = seconds(max(due - time.monotonic_ns(), 0))
        self._deadline = asyncio.get_running_loop().call_later(delay, self.handle, events.Ticked())


def _log_command(command: commands.Command) -> None:
    match command:
        case commands.StartWorker(replica, _):
            log.info(
                "worker wanted",
                worker=replica.id,
                model=replica.spec.name,
                device=device_names(replica.placement.devices),
            )
        case commands.StopWorker(_, replica_id):
            log.info("worker to be stopped", worker=replica_id)
        case _:
            log.debug("command", kind=type(command).__name__)
