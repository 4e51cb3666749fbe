"""Token frames to the gateways: one ZeroMQ message for each step and gateway."""

from collections import defaultdict
from collections.abc import Callable

import zmq

from remuda.logs import get_logger
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.engine.engine import Piece
from workers.engine.logprobs import Logprob, TokenLogprobs
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


def finished(sequence: Sequence) -> pb.Finished:
    """How a sequence ended, for its gateway and for the scheduler."""
    reason = sequence.finish or FinishReason.CANCELLED
    usage = pb.Usage(
        prompt_tokens=len(sequence.prompt),
        cached_tokens=sequence.cached,
        completion_tokens=sequence.generated,
        prefill_ns=sequence.timings.prefill_ns,
        decode_ns=sequence.timings.decode_ns,
    )
    return pb.Finished(reason=REASONS[reason], usage=usage, error=sequence.error)


class Outbox:
    """One PUSH socket for each gateway, connected at its first frame."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", spell: Callable[[int], bytes]) -> None:
        """`spell` gives the bytes of a token."""
        self._context = context
        self._spell = spell
        self._sockets: dict[str, zmq.Socket[bytes]] = {}

    def send(self, pieces: list[Piece]) -> None:
        """Sends the pieces of one step. Never blocks."""
        frames: defaultdict[str, wire.TokenFrame] = defaultdict(wire.TokenFrame)
        for piece in pieces:
            sequence = piece.sequence
            entry = frames[sequence.gateway].pieces.add(
                request_id=sequence.key.request_id,
                attempt=sequence.key.attempt,
                tokens=piece.tokens,
                text=piece.text,
                logprobs=[self._logprobs(told) for told in piece.logprobs],
            )
            if piece.ended:
                entry.finished.CopyFrom(finished(sequence))
        for gateway, frame in frames.items():
            self._push(gateway, frame.SerializeToString())

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
