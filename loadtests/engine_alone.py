"""Remuda's engine as a worker loads it, alone in a process: no gateway, no scheduler, and nobody reads its frames.

`python -m loadtests.engine_alone` is a program of `bare`: it reads EngineJobs and writes EngineResults. Remuda's
variables set what the Setup leaves out.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import zmq
from pydantic import BaseModel

from loadtests.bare import C, answer_jobs, tokenise
from loadtests.dialects import SAMPLING
from loadtests.setup import Setup
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.engine.log import EngineLog
from workers.engine.sequence import Sequence, SequenceKey
from workers.worker.__main__ import SWITCH_INTERVAL_S
from workers.worker.loading import Loader, Parts
from workers.worker.outbox import Outbox
from workers.worker.translate import sequence_of

GATEWAY = "inproc://frames"
CPU = pb.Placement(devices=[pb.DeviceId(kind=pb.DEVICE_KIND_CPU)])


class EngineJob(BaseModel):
    """Prompts to run at once, `tokens` each. `draft_tokens` None leaves speculation to the engine."""

    prompts: list[str]
    tokens: int
    seed: int
    temperature: float = 0.8
    draft_tokens: int | None = None


class EngineResult(BaseModel):
    """The measurements of one job. Steps count only when every sequence decodes in them."""

    step_ns: list[int]
    decode_ns: list[int]
    """Nanoseconds of llama_decode in each step."""
    step_tokens: list[int]
    generated: list[list[int]]
    drafted: int
    """Tokens of the whole job, as are the accepted ones."""
    accepted: int


class DecodeClock:
    """Adds up the time in `llama_decode`, until a GPU is done as well."""

    def __init__(self) -> None:
        self.ns = 0
        decode = C.llama_decode

        def timed(context: Any, batch: Any) -> int:
            began = time.perf_counter_ns()
            result: int = decode(context, batch)
            C.llama_synchronize(context)
            self.ns += time.perf_counter_ns() - began
            return result

        C.llama_decode = timed


class EngineAlone:
    """A model's runner, and the frames that its worker would send."""

    def __init__(self, setup: Setup) -> None:
        log = EngineLog(verbose=False)
        loader = Loader(start_message(setup), Settings(), log, Parts())
        self._model, self._runner = loader.load()
        self._clock = DecodeClock()
        sockets: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._frames = sockets.socket(zmq.PULL)
        self._frames.bind(GATEWAY)
        self._runner.bind(Outbox(sockets, self._model.vocabulary.piece).send)
        self._jobs = 0

    def run(self, job: EngineJob) -> EngineResult:
        self._jobs += 1
        sequences = [self._sequence(job, number, prompt) for number, prompt in enumerate(job.prompts)]
        for sequence in sequences:
            self._runner.add(sequence)
        before = self._drafts()
        result = EngineResult(step_ns=[], decode_ns=[], step_tokens=[], generated=[], drafted=0, accepted=0)
        while self._runner.busy:
            self._step(sequences, result)
        while self._frames.poll(0):
            self._frames.recv()
        result.drafted, result.accepted = (now - then for now, then in zip(self._drafts(), before, strict=True))
        result.generated = [sequence.tokens[len(sequence.prompt) :] for sequence in sequences]
        return result

    def _step(self, sequences: list[Sequence], result: EngineResult) -> None:
        counts = all(sequence.decoding and sequence.finish is None for sequence in sequences)
        tokens = sum(sequence.generated for sequence in sequences)
        self._clock.ns = 0
        began = time.perf_counter_ns()
        self._runner.step()
        elapsed = time.perf_counter_ns() - began
        if counts:
            result.step_ns.append(elapsed)
            result.decode_ns.append(self._clock.ns)
            result.step_tokens.append(sum(sequence.generated for sequence in sequences) - tokens)

    def _sequence(self, job: EngineJob, number: int, prompt: str) -> Sequence:
        sampling = wire.Sampling(**SAMPLING, seed=job.seed + number, temperature=job.temperature)
        work = wire.Work(prompt=tokenise(self._model, prompt), sampling=sampling, num_predict=job.tokens)
        if job.draft_tokens is not None:
            work.draft_tokens = job.draft_tokens
        return sequence_of(SequenceKey(self._jobs << 16 | number, 0), GATEWAY, work)

    def _drafts(self) -> tuple[int, int]:
        """Returns the tokens drafted and accepted so far."""
        counters = self._runner.counters
        return counters.drafted_tokens, counters.accepted_tokens


def start_message(setup: Setup) -> wire.StartWorker:
    """Makes the message that a scheduler would send."""
    options = pb.LoadOptions(num_ctx=setup.context, num_batch=setup.batch, num_gpu=-1, num_thread=setup.threads)
    model = pb.ModelSpec(name="bench", model_path=setup.model, options=options)
    return wire.StartWorker(worker=1, model=model, placement=CPU, slots=setup.slots)


def begin(setup: Setup) -> Callable[[bytes], EngineResult]:
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    alone = EngineAlone(setup)
    return lambda line: alone.run(EngineJob.model_validate_json(line))


if __name__ == "__main__":
    answer_jobs(begin)
