"""The scheduler's gRPC surface: translates calls into events, and notices into messages."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc
from scheduler import events, notices
from scheduler.edge.dispatcher import Dispatcher
from scheduler.model import Request, RequestKey

WATCH_INTERVAL_S = 0.1
"""Shortest time between two messages of Watch: a dashboard needs no more than ten a second."""

Context = grpc.aio.ServicerContext[Any, Any]

_STATUS = {
    pb.Rejected.CODE_QUEUE_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    pb.Rejected.CODE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}


class SchedulerService(serving_pb2_grpc.SchedulerServicer):
    """Serves `remuda.v1.Scheduler`."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._loads = itertools.count(1)

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> AsyncIterator[pb.RequestEvent]:
        key = RequestKey(request.request_id, request.attempt)
        if self._dispatcher.is_known(key):
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "this attempt was submitted already")
        submission = Request(key, request.model, _keep_alive(request.keep_alive), request.gateway, request.work)
        with self._dispatcher.submitted(events.Submitted(submission)) as inbox:
            while True:
                event = await inbox.get()
                yield event
                if notices.is_last(event):
                    return

    async def Cancel(self, request: pb.CancelRequest, context: Context) -> pb.CancelReply:
        self._dispatcher.handle(events.Cancelled(RequestKey(request.request_id, request.attempt)))
        return pb.CancelReply()

    async def Load(self, request: pb.LoadRequest, context: Context) -> pb.LoadReply:
        began = time.monotonic_ns()
        key = RequestKey(next(self._loads), -1)  # attempts of requests are never negative
        submission = Request(key, request.model, _keep_alive(request.keep_alive), "", None)
        with self._dispatcher.submitted(events.Submitted(submission)) as inbox:
            while True:
                event = await inbox.get()
                match event.WhichOneof("event"):
                    case "running":
                        return pb.LoadReply(load_ns=time.monotonic_ns() - began)
                    case "rejected":
                        status = _STATUS.get(event.rejected.code, grpc.StatusCode.INTERNAL)
                        await context.abort(status, event.rejected.message)
                    case _:
                        continue

    async def Unload(self, request: pb.UnloadRequest, context: Context) -> pb.UnloadReply:
        self._dispatcher.handle(events.UnloadRequested(request.model_path))
        return pb.UnloadReply()

    async def Residents(self, request: pb.ResidentsRequest, context: Context) -> pb.ResidentsReply:
        return pb.ResidentsReply(residents=self._dispatcher.state().residents)

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.SchedulerState]:
        while True:
            change = self._dispatcher.next_change
            yield self._dispatcher.state()
            await asyncio.gather(change.wait(), asyncio.sleep(WATCH_INTERVAL_S))


def _keep_alive(message: pb.KeepAlive) -> int | None:
    return message.ns if message.HasField("ns") else None
