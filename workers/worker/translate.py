"""From the wire to the engine: a request as the worker runs it."""

from google.protobuf.message import DecodeError

from remuda.v1 import wire_pb2 as wire
from workers.engine.embedding import EmbeddingJob
from workers.engine.media import Segment
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import Sequence, SequenceKey


def request_of(run: wire.Run) -> Sequence | EmbeddingJob:
    """The engine's view of a request. A Work that does not parse becomes a sequence with an empty prompt, which the
    engine refuses."""
    try:
        work = wire.Work.FromString(run.work)
    except DecodeError:
        work = wire.Work()
    key = SequenceKey(run.request_id, run.attempt)
    if work.HasField("embed"):
        return EmbeddingJob(key, run.gateway, [list(entry.tokens) for entry in work.embed.inputs])
    return sequence_of(key, run.gateway, work)


def sequence_of(key: SequenceKey, gateway: str, work: wire.Work) -> Sequence:
    """A request that generates."""
    asked = work.sampling
    return Sequence(
        key=key,
        gateway=gateway,
        prompt=list(work.prompt),
        sampling=SamplingParams(
            temperature=asked.temperature,
            top_k=asked.top_k,
            top_p=asked.top_p,
            min_p=asked.min_p,
            typical_p=asked.typical_p,
            repeat_last_n=asked.repeat_last_n,
            repeat_penalty=asked.repeat_penalty,
            presence_penalty=asked.presence_penalty,
            frequency_penalty=asked.frequency_penalty,
            seed=asked.seed,
            mirostat=asked.mirostat,
            mirostat_tau=asked.mirostat_tau,
            mirostat_eta=asked.mirostat_eta,
        ),
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
