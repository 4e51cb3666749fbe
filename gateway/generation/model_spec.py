"""Messages to the scheduler and the worker: which model a request needs, and what to do with it."""

from gateway.generation.options import Options
from gateway.grammar.reply_grammar import ReplyGrammar
from gateway.prompt.builder import Prompt, ResolvedRequest
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import store_pb2, wire_pb2


def model_spec(bundle: store_pb2.Bundle, options: Options) -> pb.ModelSpec:
    """The model and how to load it, for the scheduler."""
    return pb.ModelSpec(
        name=bundle.name,
        digest=bundle.digest,
        model_path=bundle.model_path,
        split_paths=bundle.split_paths,
        projector_paths=bundle.projector_paths,
        draft_path=bundle.draft_path,
        options=options.load_options(),
        details=bundle.details,
    )


def work_of(resolved: ResolvedRequest, prompt: Prompt, grammar: ReplyGrammar) -> wire_pb2.Work:
    """The request, for the worker."""
    generation, options = resolved.generation, resolved.options
    return wire_pb2.Work(
        prompt=prompt.tokens,
        segments=[wire_pb2.Segment(tokens=segment.tokens, media=segment.image) for segment in prompt.segments],
        sampling=options.sampling(),
        num_ctx=options.num_ctx,
        num_predict=options.max_tokens,
        num_keep=options.num_keep,
        shift=generation.shift,
        stop=options.stop,
        grammar=grammar.text,
        optional_first_token=grammar.optional_first_token,
        logprobs=generation.top_logprobs if generation.logprobs else None,
        adapter_paths=resolved.bundle.adapter_paths,
        draft_tokens=options.draft_tokens,
    )
