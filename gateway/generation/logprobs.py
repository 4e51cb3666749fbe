"""Log-probabilities, held back until the text of their tokens has come."""

import codecs
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.generation.events import Alternative, TokenLogprob
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2

LOWEST = -9999.0
"""Stands for the logarithm of zero, which JSON cannot write. OpenAI uses the same number."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A token's log-probability and the characters [start, end) of the reply that the token completes."""

    start: int
    end: int
    logprob: TokenLogprob


class LogprobAligner:
    """Holds back each token's log-probability until the token's text has come.

    The text of a stop string's tokens and of the end token never comes. They are no part of the reply, so their
    log-probabilities are dropped.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # places characters as the worker's does
        self._held: deque[_Placed] = deque()
        self._written = 0
        self._received = 0

    def feed(self, piece: wire_pb2.TokenPiece) -> tuple[TokenLogprob, ...]:
        """The log-probabilities of tokens whose text is complete with this piece."""
        for logprob in piece.logprobs:
            start = self._written
            self._written += len(self._decoder.decode(logprob.picked.piece))
            self._held.append(_Placed(start, self._written, _read(logprob)))
        self._received += len(piece.text)
        return tuple(self._last(piece.finished) if piece.HasField("finished") else self._ready())

    def _ready(self) -> Iterable[TokenLogprob]:
        while self._held and self._held[0].end <= self._received:
            yield self._held.popleft().logprob

    def _last(self, finished: pb.Finished) -> Iterable[TokenLogprob]:
        is_cut = finished.reason == pb.FINISH_REASON_LENGTH
        return [placed.logprob for placed in self._held if is_cut or placed.start < self._received]


def _read(message: wire_pb2.TokenLogprob) -> TokenLogprob:
    picked = _alternative(message.picked)
    return TokenLogprob(picked.token, picked.piece, picked.logprob, tuple(map(_alternative, message.top)))


def _alternative(message: wire_pb2.Logprob) -> Alternative:
    return Alternative(message.piece.decode("utf-8", "replace"), message.piece, max(message.logprob, LOWEST))
