"""Answers what a replica of a model would take: asks a process for dry runs, and remembers what it said."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from remuda.devices import is_gpu
from remuda.file_versions import FileVersion, version_of
from remuda.logs import get_logger
from remuda.sandbox.pool import (
    GIVEN,
    DidNotStartError,
    OverloadedError,
    ProcessDiedError,
    Sandbox,
    SandboxError,
    SandboxPool,
    TookTooLongError,
)
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire

log = get_logger()

REASONS: Mapping[type[SandboxError], str] = {
    DidNotStartError: "its memory cannot be measured: no process for dry runs starts",
    OverloadedError: "its memory cannot be measured now: too many models wait for that",
    ProcessDiedError: "llama.cpp dies of the model's files",
    TookTooLongError: "its memory cannot be measured: a dry run takes longer than REMUDA_MEASURE_TIMEOUT",
}


@dataclass(frozen=True, slots=True)
class Question:
    """All that decides an answer, beside the settings and the machine, which stay the same while this process runs."""

    model: bytes
    """A ModelSpec without what changes no sizes."""
    slots: tuple[int, ...]
    files: tuple[FileVersion, ...]


class Measuring:
    """Answers the scheduler. Equal questions at the same time share a dry run."""

    def __init__(self, settings: Settings, pinning: Mapping[str, str], *, sees_gpu: bool) -> None:
        """`pinning` are the variables that show dry runs a GPU (`sees_gpu`), or none."""
        self._kept = settings.measurements_kept
        self._pool = SandboxPool(_sandbox(settings, pinning, sees_gpu=sees_gpu))
        self._runs: OrderedDict[Question, asyncio.Task[wire.Measured]] = OrderedDict()

    def start(self) -> None:
        """Starts a process in the background, ahead of the first question."""
        self._pool.start()

    async def close(self) -> None:
        """Ends the processes."""
        await self._pool.close()

    async def answer(self, measure: wire.Measure) -> wire.Measured:
        """The answer, never an exception: where there is none, its error tells why."""
        try:
            question = await asyncio.to_thread(_question, measure)
        except OSError as error:
            return wire.Measured(id=measure.id, error=f"a file of the model cannot be read: {error.strerror}")
        measured = wire.Measured()
        measured.CopyFrom(await asyncio.shield(self._run(question, measure)))
        measured.id = measure.id
        return measured

    def _run(self, question: Question, measure: wire.Measure) -> "asyncio.Task[wire.Measured]":
        """The dry run for a question: a new one where there is none."""
        if question not in self._runs:
            run = self._runs[question] = asyncio.create_task(self._measure(measure))
            run.add_done_callback(lambda done: self._forget_failure(question, done))
        self._runs.move_to_end(question)
        if len(self._runs) > self._kept:
            self._runs.popitem(last=False)
        return self._runs[question]

    async def _measure(self, measure: wire.Measure) -> wire.Measured:
        try:
            measured = wire.Measured.FromString(await self._pool.ask(measure.SerializeToString()))
        except SandboxError as error:
            measured = wire.Measured(error=REASONS[type(error)])
        if measured.error:
            log.warning("model not measured", model=measure.model.name, error=measured.error)
        return measured

    def _forget_failure(self, question: Question, run: "asyncio.Task[wire.Measured]") -> None:
        """Forgets an answer that lacks sizes: memory may have been short for a moment."""
        if run.cancelled() or run.exception() or len(run.result().footprints) < len(question.slots):
            self._runs.pop(question, None)


def _sandbox(settings: Settings, pinning: Mapping[str, str], *, sees_gpu: bool) -> Sandbox:
    """The kind of process for dry runs."""
    return Sandbox(
        module="workers.dry_run.sandbox",
        # CUDA reserves address space for all memory there is
        memory=0 if sees_gpu else settings.measure_memory,
        arguments=(),
        niceness=0,  # a load waits for it
        processes=settings.measure_processes,
        waiting=settings.measure_queue,
        timeout_ns=settings.measure_timeout_ns,
        start_timeout_ns=settings.start_timeout_ns,
        # as a worker's: the same file meets the same library
        environment=os.environ | GIVEN | dict(pinning),
        single_use=True,  # what a file has done to llama.cpp ends with its process
    )


def emptiest_gpu(devices: Iterable[pb.Device]) -> pb.DeviceId | None:
    """The GPU with the most free memory, where dry runs go: each takes a little for the driver."""
    gpus = [device for device in devices if is_gpu(device.id) and not device.declared]
    return max(gpus, key=lambda device: device.memory_free).id if gpus else None


def _question(measure: wire.Measure) -> Question:
    """Reads the files' versions. Raises OSError."""
    model = pb.ModelSpec()
    model.CopyFrom(measure.model)
    for field in ("name", "digest", "details"):
        model.ClearField(field)
    for field in ("main_gpu", "use_mmap", "num_thread"):
        model.options.ClearField(field)
    files = [
        model.model_path,
        *model.split_paths,
        *model.projector_paths,
        *([model.draft_path] if model.draft_path else []),
    ]
    versions = tuple(version_of(Path(file)) for file in files)
    return Question(model.SerializeToString(deterministic=True), tuple(measure.slots), versions)
