"""The works of requests: small ones travel through the scheduler, large ones wait here until a worker fetches them."""

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc

CHUNK = 256 << 10
"""Bytes of one message. Larger ones are no faster, and hold up this gateway's other streams for longer."""

UNWANTED = "nobody waits for this attempt any more"


@dataclass(frozen=True, slots=True)
class Kept:
    """A work that waits here. Its request names the attempt that may fetch it."""

    request: pb.SubmitRequest
    work: bytes


class Works(serving_pb2_grpc.WorksServicer):
    """Serves `remuda.v1.Works`."""

    def __init__(self, target: str, inline_limit: int) -> None:
        """Workers reach this service at `target`. Works of at most `inline_limit` bytes are never kept."""
        self._target = target
        self._inline_limit = inline_limit
        self._kept: dict[int, Kept] = {}

    def __len__(self) -> int:
        """The number of works that are kept."""
        return len(self._kept)

    @contextmanager
    def given(self, request: pb.SubmitRequest, work: bytes) -> Generator[None]:
        """Gives a request its work. A large one can be fetched while the context is open."""
        if len(work) <= self._inline_limit:
            request.work.inline = work
        else:
            request.work.kept.CopyFrom(pb.KeptWork(target=self._target, size=len(work)))
            self._kept[request.request_id] = Kept(request, work)
        try:
            yield
        finally:
            self.drop(request.request_id)

    def drop(self, request_id: int) -> None:
        """Ends the keeping of a work, if it is kept."""
        self._kept.pop(request_id, None)

    async def Fetch(  # noqa: N802 (gRPC methods are named in the proto)
        self, request: pb.FetchRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[pb.WorkChunk]:
        sent = 0
        while (work := self._wanted(request)) is not None:
            yield pb.WorkChunk(data=work[sent : sent + CHUNK])
            sent += CHUNK
            if sent >= len(work):
                return
        await context.abort(grpc.StatusCode.NOT_FOUND, UNWANTED)

    def _wanted(self, request: pb.FetchRequest) -> bytes | None:
        """The work of an attempt that its client still waits for."""
        kept = self._kept.get(request.request_id)
        return kept.work if kept is not None and kept.request.attempt == request.attempt else None
