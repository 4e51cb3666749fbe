"""Log-probabilities on their way from the worker's tokens to the chunks of text that they belong to."""

import codecs
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.generation.events import Alternative, TokenLogprob
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2

LOWEST = -9999.0
"""Stands for a probability of zero, whose logarithm JSON cannot tell; OpenAI uses the same number."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A token and the characters [start, end) of the reply that it completes."""

    start: int
    end: int
    told: TokenLogprob


class LogprobAligner:
    """Holds back what is told of a token until the token's text has come. Tokens whose text never comes, those of a
    stop string and the one that ends the reply, are no part of it, and neither is what is told of them."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # places characters as the worker's does
        self._held: deque[_Placed] = deque()
        self._written = 0
        self._received = 0

    def feed(self, piece: wire_pb2.TokenPiece) -> tuple[TokenLogprob, ...]:
        """What belongs to the text that has come up to now."""
        for told in piece.logprobs:
            start = self._written
            self._written += len(self._decoder.decode(told.picked.piece))
            self._held.append(_Placed(start, self._written, _read(told)))
        self._received += len(piece.text)
        return tuple(self._last(piece.finished) if piece.HasField("finished") else self._ready())

    def _ready(self) -> Iterable[TokenLogprob]:
        while self._held and self._held[0].end <= self._received:
            yield self._held.popleft().told

    def _last(self, finished: pb.Finished) -> Iterable[TokenLogprob]:
        is_cut = finished.reason == pb.FINISH_REASON_LENGTH
        return [placed.told for placed in self._held if is_cut or placed.start < self._received]


def _read(told: wire_pb2.TokenLogprob) -> TokenLogprob:
    picked = _alternative(told.picked)
    return TokenLogprob(picked.token, picked.piece, picked.logprob, tuple(map(_alternative, told.top)))


def _alternative(one: wire_pb2.Logprob) -> Alternative:
    return Alternative(one.piece.decode("utf-8", "replace"), one.piece, max(one.logprob, LOWEST))
