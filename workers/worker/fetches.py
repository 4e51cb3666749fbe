"""Fetches the works that gateways keep, each in a thread of its own, beside the engine's steps."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import grpc
import zmq

from remuda.logs import get_logger
from remuda.rpc import open_blocking_channel
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc
from remuda.v1 import wire_pb2 as wire
from workers.engine.embedding import EmbeddingJob
from workers.engine.sequence import FinishReason, Sequence, SequenceKey
from workers.worker.translate import ended_request, key_of, request_of

log = get_logger()

DONE = "inproc://fetched"
NOT_FETCHED = "the request could not be fetched from its gateway"


@dataclass(slots=True)
class Fetch:
    """A work on its way."""

    call: grpc.Call
    request: Future[Sequence | EmbeddingJob]
    cancelled: bool = False


class Fetches:
    """The requests whose works are on their way. One thread at a time calls it."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", slots: int, timeout_s: float) -> None:
        """A worker has no more requests than slots. A fetch that takes longer than `timeout_s` fails."""
        self._context = context
        self._threads = ThreadPoolExecutor(slots, "fetch")
        self._timeout_s = timeout_s
        self._stubs: dict[str, serving_pb2_grpc.WorksStub] = {}
        self._fetches: dict[SequenceKey, Fetch] = {}
        self.done = context.socket(zmq.PULL)
        """Readable while `take_done` has anything to return: one message for each fetch that has ended."""
        self.done.bind(DONE)

    def alive(self) -> list[SequenceKey]:
        """The requests that `take_done` has yet to return."""
        return list(self._fetches)

    def begin(self, run: wire.Run) -> None:
        """Begins to fetch the work of a request."""
        fetch = pb.FetchRequest(request_id=run.request_id, attempt=run.attempt)
        # a gateway that was restarted a moment ago is waited for: it answers that it does not know the request
        call = self._stub(run.work.kept.target).Fetch(fetch, timeout=self._timeout_s, wait_for_ready=True)
        request = self._threads.submit(_request, run, call)
        self._fetches[key_of(run)] = Fetch(call, request)
        request.add_done_callback(lambda _: self._report(fetch))

    def cancel(self, key: SequenceKey) -> None:
        """Breaks off a fetch. Its request ends as cancelled."""
        fetch = self._fetches.get(key)
        if fetch is not None:
            fetch.cancelled = True
            fetch.call.cancel()

    def take_done(self) -> list[Sequence | EmbeddingJob]:
        """The requests whose fetches have ended, for the engine. Those that failed have ended as well."""
        requests: list[Sequence | EmbeddingJob] = []
        while self.done.getsockopt(zmq.EVENTS) & zmq.POLLIN:  # pyright: ignore[reportOperatorIssue]
            requests.append(self._take(pb.FetchRequest.FromString(self.done.recv())))
        return requests

    def _report(self, fetch: pb.FetchRequest) -> None:
        """Tells the worker's loop that a fetch has ended. Called by the fetch's own thread."""
        with self._context.socket(zmq.PUSH) as done:
            done.connect(DONE)
            done.send(fetch.SerializeToString())

    def _take(self, done: pb.FetchRequest) -> Sequence | EmbeddingJob:
        fetch = self._fetches.pop(key_of(done))
        request = fetch.request.result()
        if fetch.cancelled:
            request.end(FinishReason.CANCELLED)
        return request

    def _stub(self, target: str) -> serving_pb2_grpc.WorksStub:
        """The stub for a gateway. There are as many as gateways: a restarted one has its predecessor's target."""
        if target not in self._stubs:
            self._stubs[target] = serving_pb2_grpc.WorksStub(open_blocking_channel(target))
        return self._stubs[target]


def _request(run: wire.Run, call: Iterable[pb.WorkChunk]) -> Sequence | EmbeddingJob:
    """Waits for a work and makes the engine's request of it; one that has ended where the work does not come."""
    try:
        return request_of(run, b"".join([chunk.data for chunk in call]))
    except grpc.RpcError as error:
        return _failed(run, cast(grpc.Call, error))
    except Exception:  # a fault of one request must not end the others
        log.exception("a fetched request could not be read", request=f"{run.request_id:016x}")
        return ended_request(run, FinishReason.ERROR, NOT_FETCHED)


def _failed(run: wire.Run, call: grpc.Call) -> Sequence:
    code = call.code()
    if code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.NOT_FOUND):  # nobody wants it any more
        return ended_request(run, FinishReason.CANCELLED)
    log.warning("work not fetched", request=f"{run.request_id:016x}", code=code.name, reason=call.details())
    return ended_request(run, FinishReason.ERROR, f"{NOT_FETCHED}: {code.name}")
