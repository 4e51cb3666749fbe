"""What replicas would take: asked of a host once for each model and context, and remembered."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from scheduler import commands
from scheduler.layout import Sizes
from scheduler.ledger import Ledger
from scheduler.model import ModelKey

KEPT = 1000
"""Measurements that are remembered: more than most boxes have models, and some kilobytes each."""
TIMEOUT_NS = 60_000_000_000
"""How long a host may take to measure a model. A large one on a cold disk takes seconds."""
NO_ANSWER = "the worker host did not tell in time how much memory the model needs"


class Subject(NamedTuple):
    """What is measured: all that decides how many bytes a replica takes, beside its slots."""

    model: ModelKey
    num_ctx: int
    num_batch: int

    @classmethod
    def of(cls, spec: pb.ModelSpec) -> "Subject":
        return cls(ModelKey.of(spec), spec.options.num_ctx, spec.options.num_batch)


class Failed(NamedTuple):
    """Why a model cannot be measured, and so cannot be loaded."""

    subject: Subject
    reason: str


class Measurements:
    """Known measurements, and questions to hosts that are not answered yet."""

    def __init__(self, slots: Sequence[int]) -> None:
        """`slots` are the numbers that a replica may have."""
        self._slots = tuple(sorted(slots))
        self._known: OrderedDict[Subject, tuple[Sizes, ...]] = OrderedDict()
        self._asked: dict[int, tuple[Subject, int]] = {}  # with the time when the answer is late
        self._questions = 0

    def sizes(self, spec: pb.ModelSpec) -> tuple[Sizes, ...] | None:
        """The sizes of a model for each number of slots, most slots first; None while they are unknown."""
        subject = Subject.of(spec)
        if subject in self._known:
            self._known.move_to_end(subject)
        return self._known.get(subject)

    def ask(self, spec: pb.ModelSpec, ledger: Ledger, now_ns: int) -> commands.Measure | None:
        """The question about a model; None where it is asked already."""
        subject = Subject.of(spec)
        if any(asked == subject for asked, _ in self._asked.values()):
            return None
        self._questions += 1
        self._asked[self._questions] = subject, now_ns + TIMEOUT_NS
        return commands.Measure(ledger.hosts[0], self._questions, spec, self._slots)

    def answer(self, question: int, footprints: Sequence[wire.Footprint], error: str) -> Subject | Failed | None:
        """Takes an answer. None where nobody asked, or has waited too long."""
        if question not in self._asked:
            return None
        subject, _ = self._asked.pop(question)
        if error or not footprints:
            return Failed(subject, error or NO_ANSWER)
        # llama.cpp may refuse the higher numbers
        self._known[subject] = tuple(map(Sizes, reversed(footprints)))
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return subject

    def forget_questions(self) -> None:
        """A host is new: what it was asked before it will never answer."""
        self._asked.clear()

    @property
    def deadline_ns(self) -> int | None:
        return min((late for _, late in self._asked.values()), default=None)

    def take_late(self, now_ns: int) -> list[Failed]:
        """Gives up the questions that are not answered in time."""
        late = [number for number, (_, deadline) in self._asked.items() if deadline <= now_ns]
        return [Failed(self._asked.pop(number)[0], NO_ANSWER) for number in late]
