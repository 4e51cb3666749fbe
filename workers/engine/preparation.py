"""Prepares a request before it runs: compiles its grammar, encodes its images, loads its adapters. Other threads do the
work, beside the steps."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from remuda.logs import get_logger
from workers.engine.adapters import Adapters
from workers.engine.grammar import Constraint, GrammarError, Grammars
from workers.engine.llama import LoadError
from workers.engine.media import MediaEncoder, MediaError, MediaPrompt
from workers.engine.sequence import FinishReason, Sequence

log = get_logger()


@dataclass(slots=True)
class Parts:
    """The parts that one request waits for."""

    constraint: Future[Constraint] | None = None
    prompt: Future[MediaPrompt] | None = None
    adapters: list[Future[Any]] = field(default_factory=list[Future[Any]])
    delivered: bool = False

    def __iter__(self) -> Iterator[Future[Any]]:
        yield from (part for part in (self.constraint, self.prompt, *self.adapters) if part is not None)

    def deliver(self, sequence: Sequence) -> None:
        """Gives the parts to the sequence. Raises the errors of the threads that made them."""
        self.delivered = True
        for adapter in self.adapters:
            adapter.result()
        if self.constraint is not None:
            sequence.constraint = self.constraint.result()
        if self.prompt is not None:
            sequence.set_prompt(self.prompt.result())


class Preparation:
    """The parts of all requests, until these end."""

    def __init__(self, grammars: Grammars, media: MediaEncoder | None, adapters: Adapters) -> None:
        self._grammars = grammars
        self._media = media
        self._adapters = adapters
        self._parts: dict[Sequence, Parts] = {}

    @property
    def takes_media(self) -> bool:
        return self._media is not None

    def begin(self, sequence: Sequence) -> None:
        """Begins to make the parts of a request."""
        parts = self._parts[sequence] = Parts(adapters=self._adapters.acquire(sequence.adapters))
        if sequence.grammar:
            parts.constraint = self._grammars.compile(sequence.grammar)
        if sequence.media and self._media is not None:
            parts.prompt = self._media.prepare(sequence.media, sequence.prompt)

    def is_done(self, sequence: Sequence) -> bool:
        """Returns whether all parts are made, and delivers them. A request whose parts failed has ended then."""
        parts = self._parts[sequence]
        if parts.delivered:
            return True
        if not all(part.done() for part in parts):
            return False
        try:
            parts.deliver(sequence)
        except GrammarError as error:
            sequence.end(FinishReason.ERROR, f"the grammar cannot be compiled: {error}", invalid=True)
        except MediaError as error:
            sequence.end(FinishReason.ERROR, str(error), invalid=True)
        except LoadError as error:
            sequence.end(FinishReason.ERROR, str(error))
        except Exception:  # a fault of one request must not end the others
            log.exception("a request could not be prepared", request=f"{sequence.key.request_id:016x}")
            sequence.end(FinishReason.ERROR, "the request could not be prepared")
        return True

    def forget(self, sequence: Sequence) -> None:
        """Drops the parts of an ended request, and releases its adapters."""
        parts = self._parts.pop(sequence, None)
        if parts is None:
            return
        for part in (parts.constraint, parts.prompt):
            if part is not None:
                part.cancel()
        self._adapters.release(sequence.adapters)
