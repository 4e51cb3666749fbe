"""The gateway's client of the scheduler: requests, loads, unloads, residents, and the devices that it reports."""

import asyncio

import grpc
import grpc.aio

from gateway.errors import QUEUE_FULL, GatewayError, busy, internal, unavailable
from gateway.links.attempts import SCHEDULER_AWAY
from gateway.links.dropped_calls import ask, is_away, persist
from gateway.links.submission import Submission, new_request_id
from gateway.links.token_stream import TokenStream, UnreadLimit
from gateway.links.works import Works
from remuda.devices import gpu_memory
from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.settings import Settings, context_tier
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc, wire_pb2

log = get_logger()

WATCH_PAUSE_S = 0.5
"""Between two attempts to watch the scheduler. Only the default context length depends on it."""


class SchedulerLink:
    """Talks to the scheduler over one channel."""

    def __init__(self, channel: grpc.aio.Channel, tokens: TokenStream, works: Works, settings: Settings) -> None:
        self._channel = channel
        self._stub = serving_pb2_grpc.SchedulerStub(channel)
        self._tokens = tokens
        self._works = works
        self._settings = settings
        self._devices: list[pb.Device] = []
        self._has_devices = asyncio.Event()

    def submission(
        self,
        spec: pb.ModelSpec,
        keep_alive_ns: int | None,
        work: wire_pb2.Work,
        unread_limit: UnreadLimit | None = None,
    ) -> Submission:
        """A request that runs once its outputs are read."""
        request = pb.SubmitRequest(
            request_id=new_request_id(),
            model=spec,
            keep_alive=self._keep_alive(keep_alive_ns),
            gateway=self._tokens.endpoint,
        )
        links = self._channel, self._tokens, self._works
        return Submission(*links, self._settings, request, work.SerializeToString(), unread_limit)

    async def load(self, spec: pb.ModelSpec, keep_alive_ns: int | None) -> None:
        """Makes the model resident. Raises GatewayError: BUSY where the queue is full, UNAVAILABLE without a scheduler,
        INTERNAL where the model cannot be loaded."""
        request = pb.LoadRequest(model=spec, keep_alive=self._keep_alive(keep_alive_ns))

        async def load(left_s: float) -> None:
            async with asyncio.timeout(left_s):  # the load itself takes as long as it needs
                await self._channel.channel_ready()
            await self._stub.Load(request)

        try:
            await persist(load, self._timeout_s)
        except TimeoutError:
            raise unavailable(SCHEDULER_AWAY) from None
        except grpc.aio.AioRpcError as error:
            raise _load_error(error) from None

    async def unload(self, model_path: str) -> None:
        """Unloads the model as soon as it is idle."""
        request = pb.UnloadRequest(model_path=model_path)
        try:
            await ask(self._stub.Unload, request, self._timeout_s)
        except grpc.aio.AioRpcError:
            raise unavailable(SCHEDULER_AWAY) from None

    async def residents(self) -> list[pb.Resident]:
        """The resident models."""
        try:
            reply = await ask(self._stub.Residents, pb.ResidentsRequest(), self._timeout_s)
        except grpc.aio.AioRpcError:
            raise unavailable(SCHEDULER_AWAY) from None
        return list(reply.residents)

    async def default_context(self) -> int:
        """The default num_ctx in tokens: the setting, or else by the memory of the GPUs."""
        if self._settings.context_length:
            return self._settings.context_length
        try:
            async with asyncio.timeout(seconds(self._settings.device_timeout_ns)):
                await self._has_devices.wait()
        except TimeoutError:
            log.warning("no devices are known yet; the smallest default context is used")
        return context_tier(gpu_memory(self._devices))

    async def watch(self) -> None:
        """Watches the scheduler until cancelled, over its restarts."""
        while True:
            try:
                async for state in self._stub.Watch(pb.WatchRequest(), wait_for_ready=True):
                    self._see(state)
            except grpc.aio.AioRpcError as error:
                log.warning("watch ended", code=error.code().name)
            await asyncio.sleep(WATCH_PAUSE_S)

    def _keep_alive(self, asked_ns: int | None) -> pb.KeepAlive:
        return pb.KeepAlive(ns=None if "keep_alive" in self._settings.ignored_options else asked_ns)

    def _see(self, state: pb.SchedulerState) -> None:
        if state.devices:
            self._devices = list(state.devices)
            self._has_devices.set()

    @property
    def _timeout_s(self) -> float:
        return seconds(self._settings.submit_timeout_ns)


def _load_error(error: grpc.aio.AioRpcError) -> GatewayError:
    if is_away(error):
        return unavailable(SCHEDULER_AWAY)
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return busy(QUEUE_FULL)
    return internal(error.details() or "the model could not be loaded")
