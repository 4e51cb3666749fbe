"""Token frames to the gateways: one ZeroMQ message for each step and gateway."""

from collections import defaultdict
from collections.abc import Callable, Collection

import numpy as np
import zmq

from remuda.logs import get_logger
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.engine.embedding import EmbeddingJob, Vectors
from workers.engine.logprobs import Logprob, TokenLogprobs
from workers.engine.pieces import Piece
from workers.engine.runner import Output
from workers.engine.sequence import FinishReason, Sequence

log = get_logger()

HIGH_WATER = 100_000
"""Frames kept for a gateway that does not read: minutes of output. A dead one's requests are cancelled long before."""

REASONS = {
    FinishReason.STOP: pb.FINISH_REASON_STOP,
    FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
    FinishReason.CANCELLED: pb.FINISH_REASON_CANCELLED,
    FinishReason.ERROR: pb.FINISH_REASON_ERROR,
}


def finished(request: Sequence | EmbeddingJob) -> pb.Finished:
    """How a request ended, for its gateway and for the scheduler."""
    reason = request.finish or FinishReason.CANCELLED
    return pb.Finished(reason=REASONS[reason], usage=_usage(request), error=request.error, invalid=request.invalid)


def _usage(request: Sequence | EmbeddingJob) -> pb.Usage:
    if isinstance(request, EmbeddingJob):
        return pb.Usage(prompt_tokens=request.tokens, prefill_ns=request.compute_ns)
    return pb.Usage(
        prompt_tokens=len(request.prompt),
        cached_tokens=request.cached,
        completion_tokens=request.generated,
        prefill_ns=request.timings.prefill_ns,
        decode_ns=request.timings.decode_ns,
    )


class Outbox:
    """One PUSH socket for each gateway, connected at its first frame."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", spell: Callable[[int], bytes]) -> None:
        """`spell` gives the bytes of a token."""
        self._context = context
        self._spell = spell
        self._sockets: dict[str, zmq.Socket[bytes]] = {}

    def send(self, outputs: Collection[Output]) -> None:
        """Sends what one step gave. Never blocks."""
        frames: defaultdict[str, wire.TokenFrame] = defaultdict(wire.TokenFrame)
        for output in outputs:
            piece = frames[output.request.gateway].pieces.add()
            piece.request_id, piece.attempt = output.request.key
            if isinstance(output, Piece):
                self._write_tokens(output, piece)
            else:
                _write_vectors(output, piece)
            if output.ended:
                piece.finished.CopyFrom(finished(output.request))
        for gateway, frame in frames.items():
            self._push(gateway, frame.SerializeToString())

    def _write_tokens(self, output: Piece, piece: wire.TokenPiece) -> None:
        piece.tokens.extend(output.tokens)
        piece.text = output.text
        if output.logprobs:
            piece.logprobs.extend([self._logprobs(told) for told in output.logprobs])

    def _logprobs(self, told: TokenLogprobs) -> wire.TokenLogprob:
        return wire.TokenLogprob(picked=self._logprob(told.picked), top=[self._logprob(one) for one in told.top])

    def _logprob(self, one: Logprob) -> wire.Logprob:
        return wire.Logprob(token=one.token, piece=self._spell(one.token), logprob=one.logprob)

    def _push(self, gateway: str, frame: bytes) -> None:
        try:
            self._socket(gateway).send(frame, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.warning("token frame dropped", gateway=gateway, error=str(error))

    def _socket(self, gateway: str) -> "zmq.Socket[bytes]":
        socket = self._sockets.get(gateway)
        if socket is None:
            socket = self._sockets[gateway] = self._context.socket(zmq.PUSH)
            socket.set_hwm(HIGH_WATER)
            socket.linger = 0
            socket.connect(gateway)
        return socket


def _write_vectors(output: Vectors, piece: wire.TokenPiece) -> None:
    for index, vector in output.vectors:
        piece.embeddings.add(input=index, vector=vector.astype(np.dtype("<f4"), copy=False).tobytes())
