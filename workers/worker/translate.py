"""Between the wire and the engine: requests as the worker runs them, and its counters as messages."""

import sys
from dataclasses import asdict, fields

from google.protobuf.message import DecodeError

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.engine.embedding import EmbeddingJob
from workers.engine.media import Segment
from workers.engine.runner import Runner
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import FinishReason, Sequence, SequenceKey


def request_of(run: wire.Run, serialized: bytes) -> Sequence | EmbeddingJob:
    """Makes the engine's request of a serialized Work. One that does not parse becomes a sequence with an empty prompt,
    which the engine refuses."""
    try:
        work = wire.Work.FromString(serialized)
    except DecodeError:
        work = wire.Work()
    if work.HasField("embed"):
        return EmbeddingJob(key_of(run), run.gateway, [list(entry.tokens) for entry in work.embed.inputs])
    return sequence_of(key_of(run), run.gateway, work)


def ended_request(run: wire.Run, reason: FinishReason, error: str = "") -> Sequence:
    """Makes a request that has ended before it began. The engine reports it at its next step."""
    sequence = sequence_of(key_of(run), run.gateway, wire.Work())
    sequence.end(reason, error)
    return sequence


def key_of(message: wire.Run | wire.Cancel | pb.FetchRequest) -> SequenceKey:
    return SequenceKey(message.request_id, message.attempt)


def sequence_of(key: SequenceKey, gateway: str, work: wire.Work) -> Sequence:
    """Makes a request that generates."""
    return Sequence(
        key=key,
        gateway=gateway,
        prompt=list(work.prompt),
        sampling=sampling_of(work.sampling),
        num_ctx=work.num_ctx or sys.maxsize,
        num_predict=work.num_predict,
        num_keep=work.num_keep,
        shift=work.shift,
        stop=tuple(work.stop),
        grammar=work.grammar,
        optional_first_token=work.optional_first_token if work.HasField("optional_first_token") else None,
        logprobs=work.logprobs if work.HasField("logprobs") else None,
        resumed=work.generated,
        media=tuple(Segment(tuple(segment.tokens), segment.media) for segment in work.segments),
        adapters=tuple(work.adapter_paths),
        draft_tokens=work.draft_tokens if work.HasField("draft_tokens") else None,
    )


def sampling_of(sampling: wire.Sampling) -> SamplingParams:
    """The message's fields: both sides name them alike."""
    return SamplingParams(**{field.name: getattr(sampling, field.name) for field in fields(SamplingParams)})


def stats_of(runner: Runner, fetching: int) -> pb.WorkerStats:
    """The load of now, and all counters. Requests that are being fetched wait."""
    load = {"slots_busy": runner.slots_busy, "waiting": runner.waiting + fetching, "cells_used": runner.cells_used}
    return pb.WorkerStats(**load, **asdict(runner.counters))
