"""A worker's fetches: whatever becomes of the gateway, every request comes to the engine, if need be as one that has
ended."""

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import zmq

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc
from remuda.v1 import wire_pb2 as wire
from workers.engine.embedding import EmbeddingJob
from workers.engine.sequence import FinishReason, Sequence
from workers.worker.fetches import Fetches

TIMEOUT_S = 20
WORK = wire.Work(prompt=[1, 2, 3], segments=[wire.Segment(tokens=[4], media=b"image")])


@dataclass
class Gateway(serving_pb2_grpc.WorksServicer):
    """A gateway that the test plays. It sends a work byte by byte."""

    target: str
    works: dict[int, bytes] = field(default_factory=dict[int, bytes])
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    goes_on: threading.Event = field(default_factory=threading.Event)
    """Nothing after the first byte is sent before."""

    def Fetch(self, request: pb.FetchRequest, context: grpc.ServicerContext) -> Iterator[pb.WorkChunk]:  # noqa: N802
        if request.request_id not in self.works:
            context.abort(grpc.StatusCode.NOT_FOUND, "nobody waits")
        work = self.works[request.request_id]
        yield pb.WorkChunk(data=work[:1])
        self.asked.release()
        self.goes_on.wait(TIMEOUT_S)
        for byte in work[1:]:
            yield pb.WorkChunk(data=bytes([byte]))

    def serve(self) -> grpc.Server:
        server = grpc.server(ThreadPoolExecutor(4))
        serving_pb2_grpc.add_WorksServicer_to_server(self, server)
        server.add_insecure_port(self.target)
        server.start()
        return server


@pytest.fixture
def gateway(private_folder: Path) -> Generator[Gateway]:
    gateway = Gateway(f"unix:{private_folder}/g")
    server = gateway.serve()
    yield gateway
    gateway.goes_on.set()
    server.stop(None).wait()


@pytest.fixture
def make() -> Generator[Callable[..., Fetches]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made: list[Fetches] = []

    def make(timeout_s: float = TIMEOUT_S) -> Fetches:
        made.append(Fetches(context, 4, timeout_s))
        return made[-1]

    yield make
    context.destroy(linger=0)


def run(gateway: Gateway, request_id: int) -> wire.Run:
    source = pb.WorkSource(kept=pb.KeptWork(target=gateway.target, size=1))
    return wire.Run(request_id=request_id, gateway="ipc:///g", work=source)


def take(fetches: Fetches) -> Sequence | EmbeddingJob:
    """The next request that has been fetched."""
    assert fetches.done.poll(TIMEOUT_S * 1000)
    (request,) = fetches.take_done()
    return request


def test_a_fetched_work_is_the_request_that_was_sent(gateway: Gateway, make: Callable[..., Fetches]) -> None:
    gateway.works[7] = WORK.SerializeToString()
    gateway.goes_on.set()
    fetches = make()
    fetches.begin(run(gateway, 7))
    assert fetches.alive() == [(7, 0)]
    request = take(fetches)
    assert isinstance(request, Sequence)
    assert (request.key, request.gateway, request.prompt) == ((7, 0), "ipc:///g", [1, 2, 3])
    assert request.media[0].media == b"image"
    assert request.finish is None
    assert fetches.alive() == []


def test_embeddings_are_fetched_too(gateway: Gateway, make: Callable[..., Fetches]) -> None:
    gateway.works[7] = wire.Work(embed=wire.Embed(inputs=[wire.EmbedInput(tokens=[1, 2])])).SerializeToString()
    gateway.goes_on.set()
    fetches = make()
    fetches.begin(run(gateway, 7))
    request = take(fetches)
    assert isinstance(request, EmbeddingJob)
    assert request.inputs == [[1, 2]]


def test_a_request_that_its_gateway_does_not_know_ends_as_cancelled(
    gateway: Gateway, make: Callable[..., Fetches]
) -> None:
    fetches = make()
    fetches.begin(run(gateway, 7))
    assert take(fetches).finish is FinishReason.CANCELLED


def test_a_request_that_is_cancelled_in_mid_fetch_ends_at_once(gateway: Gateway, make: Callable[..., Fetches]) -> None:
    gateway.works[7] = WORK.SerializeToString()
    fetches = make()
    fetches.begin(run(gateway, 7))
    gateway.asked.acquire()
    fetches.cancel(fetches.alive()[0])
    assert take(fetches).finish is FinishReason.CANCELLED
    assert not gateway.goes_on.is_set()


def test_a_request_that_is_cancelled_when_its_work_is_there_ends_too(
    gateway: Gateway, make: Callable[..., Fetches]
) -> None:
    gateway.works[7] = WORK.SerializeToString()
    gateway.goes_on.set()
    fetches = make()
    fetches.begin(run(gateway, 7))
    assert fetches.done.poll(TIMEOUT_S * 1000)
    fetches.cancel(fetches.alive()[0])
    assert take(fetches).finish is FinishReason.CANCELLED


def test_a_work_that_does_not_come_in_time_fails_its_request(gateway: Gateway, make: Callable[..., Fetches]) -> None:
    gateway.works[7] = WORK.SerializeToString()
    fetches = make(timeout_s=0.2)
    fetches.begin(run(gateway, 7))
    request = take(fetches)
    assert request.finish is FinishReason.ERROR
    assert request.error == "the request could not be fetched from its gateway: DEADLINE_EXCEEDED"
    assert not request.invalid


def test_a_gateway_that_dies_in_mid_fetch_fails_the_request(private_folder: Path, make: Callable[..., Fetches]) -> None:
    gateway = Gateway(f"unix:{private_folder}/g", {7: WORK.SerializeToString()})
    server = gateway.serve()
    fetches = make()
    fetches.begin(run(gateway, 7))
    gateway.asked.acquire()
    stopped = server.stop(None)
    assert take(fetches).finish in (FinishReason.ERROR, FinishReason.CANCELLED)
    gateway.goes_on.set()
    stopped.wait()


def test_a_gateway_that_is_gone_is_waited_for_no_longer_than_the_timeout(
    private_folder: Path, make: Callable[..., Fetches]
) -> None:
    fetches = make(timeout_s=0.2)
    fetches.begin(run(Gateway(f"unix:{private_folder}/nobody"), 7))
    assert take(fetches).finish is FinishReason.ERROR


def test_a_restarted_gateway_is_asked_at_once(private_folder: Path, make: Callable[..., Fetches]) -> None:
    fetches, gateway = make(), Gateway(f"unix:{private_folder}/g")
    fetches.begin(run(gateway, 7))
    server = gateway.serve()
    assert take(fetches).finish is FinishReason.CANCELLED
    server.stop(None).wait()


def test_a_fetch_that_hangs_holds_up_no_other(gateway: Gateway, make: Callable[..., Fetches]) -> None:
    gateway.works[7] = WORK.SerializeToString()
    fetches = make()
    fetches.begin(run(gateway, 7))
    gateway.asked.acquire()
    fetches.begin(run(gateway, 8))
    assert take(fetches).key == (8, 0)
    assert fetches.alive() == [(7, 0)]


def test_a_work_that_does_not_parse_is_an_empty_prompt(gateway: Gateway, make: Callable[..., Fetches]) -> None:
    gateway.works[7] = b"\xff" * 9
    gateway.goes_on.set()
    fetches = make()
    fetches.begin(run(gateway, 7))
    request = take(fetches)
    assert isinstance(request, Sequence)
    assert (request.prompt, request.finish) == ([], None)
