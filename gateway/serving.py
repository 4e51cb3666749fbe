"""Runs generations: resolve the model, check, render, submit, and turn the worker's text into events."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import orjson

from gateway import checks
from gateway.generation import Done, Event, Generation, Kind
from gateway.options import MIN_CONTEXT, MIN_VISION_CONTEXT, ContextBounds, Options, resolve_options
from gateway.parsing.calls import CallParser
from gateway.parsing.generic import GenericCalls
from gateway.parsing.hermes import HermesCalls
from gateway.parsing.reply import ReplyParser
from gateway.parsing.thinking import ThinkingSplitter
from gateway.prompt.builder import Draft, Prompt, PromptBuilder
from gateway.prompt.formats import ChatFormat, Language, choose_format
from gateway.records import RequestRecord
from gateway.scheduler_link import SchedulerLink
from gateway.store_link import StoreLink
from gateway.submission import Submission
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import store_pb2, wire_pb2

REASONS = {pb.FINISH_REASON_STOP: "stop", pb.FINISH_REASON_LENGTH: "length"}


class Serving:
    """What all surfaces call."""

    def __init__(self, settings: Settings, store: StoreLink, scheduler: SchedulerLink, prompts: PromptBuilder) -> None:
        self.store = store
        self.scheduler = scheduler
        self._settings = settings
        self._prompts = prompts

    async def events(self, generation: Generation, record: RequestRecord) -> AsyncGenerator[Event]:
        """Deltas, then one Done. Raises ApiError. Closing the iterator cancels the generation everywhere."""
        record.model = generation.model
        checks.check_before_lookup(generation)
        bundle = await self.store.resolve(generation.model)
        if checks.is_unload(generation):
            await self.scheduler.unload(bundle.model_path)
            yield _immediate("unload", record)
            return
        checks.check_abilities(generation, bundle)
        options = await self._options(generation, bundle)
        if checks.is_empty(generation):
            await self.scheduler.load(model_spec(bundle, options), generation.keep_alive_ns)
            yield _immediate("load", record)
            return
        draft = self._draft(generation, bundle, options)
        prompt = await self._prompts.build(draft)
        if generation.debug_render_only:
            yield Done("", rendered=prompt.text)
            return
        async with aclosing(self._run(draft, prompt, record)) as events:
            async for event in events:
                yield event

    async def _options(self, generation: Generation, bundle: store_pb2.Bundle) -> Options:
        bounds = ContextBounds(
            default=await self.scheduler.default_context(),
            trained=bundle.details.context_length,
            minimum=MIN_VISION_CONTEXT if "vision" in bundle.capabilities else MIN_CONTEXT,
        )
        return resolve_options(orjson.loads(bundle.params_json or "{}"), generation.options, bounds)

    def _draft(self, generation: Generation, bundle: store_pb2.Bundle, options: Options) -> Draft:
        checks.check_implemented(generation, bundle)
        if generation.template or generation.suffix:
            chosen = ChatFormat(Language.GO, generation.template or bundle.go_template)
        else:
            chosen = choose_format(bundle, self._settings.go_template)
        checks.check_tools(generation, chosen)
        return Draft(generation, bundle, options, chosen, checks.thinking_of(generation, bundle))

    async def _run(self, draft: Draft, prompt: Prompt, record: RequestRecord) -> AsyncGenerator[Event]:
        spec = model_spec(draft.bundle, draft.options)
        work = work_of(draft.options, prompt.tokens, shift=draft.generation.shift)
        submission = self.scheduler.submission(spec, draft.generation.keep_alive_ns, work)
        record.id = submission.id
        parser, written = reply_parser(draft, prompt), list[str]()
        wants_context = draft.generation.kind is Kind.GENERATE and not draft.generation.raw
        async with aclosing(submission.batches()) as batches:
            async for batch in batches:
                if wants_context:
                    written.append(batch.text)
                if batch.text and (delta := parser.feed(batch.text)):
                    yield delta
                if batch.finished:
                    rest, calls = parser.end()
                    if rest:
                        yield rest
                    whole = prompt.text + "".join(written)
                    context = tuple(prompt.vocabulary.tokenize(whole)) if wants_context else None
                    done = _done(submission, batch.finished, record)
                    yield replace(done, tool_calls=calls, context=context)


def model_spec(bundle: store_pb2.Bundle, options: Options) -> pb.ModelSpec:
    """What the scheduler needs to know to load the model."""
    return pb.ModelSpec(
        name=bundle.name,
        digest=bundle.digest,
        model_path=bundle.model_path,
        adapter_paths=bundle.adapter_paths,
        projector_paths=bundle.projector_paths,
        options=options.load_options(),
        details=bundle.details,
    )


def work_of(options: Options, tokens: list[int], *, shift: bool) -> wire_pb2.Work:
    """What the worker needs to know to run the request."""
    return wire_pb2.Work(
        prompt=tokens,
        sampling=options.sampling(),
        num_predict=options.max_tokens,
        num_keep=options.num_keep,
        shift=shift,
        stop=options.stop,
    )


def reply_parser(draft: Draft, prompt: Prompt) -> ReplyParser:
    """How this reply is read. A Jinja model's thoughts stay in the text of `/api/generate`, as in Ollama."""
    generation, chat_format = draft.generation, draft.format
    is_jinja = chat_format.language is Language.JINJA
    if generation.raw or (is_jinja and generation.kind is Kind.GENERATE):
        return ReplyParser()
    tags = chat_format.thinking_tags() if is_jinja or draft.think else None
    inside = tags is not None and prompt.text.rstrip().endswith(tags.opening)
    return ReplyParser(ThinkingSplitter(tags, inside=inside) if tags else None, _call_parser(draft))


def _call_parser(draft: Draft) -> CallParser | None:
    tools, chat_format = draft.generation.tools, draft.format
    if not tools:
        return None
    if chat_format.language is Language.JINJA:
        return HermesCalls()
    return GenericCalls(chat_format.syntax.tool_tag(), [tool["function"]["name"] for tool in tools])


def _immediate(reason: str, record: RequestRecord) -> Done:
    record.outcome = reason
    return Done(reason)


def _done(submission: Submission, finished: pb.Finished, record: RequestRecord) -> Done:
    """The end of the reply, also for the log."""
    usage = finished.usage
    running = submission.running_ns
    record.outcome = reason = REASONS.get(finished.reason, "stop")
    waited = running - submission.submitted_ns
    record.load_ns, record.queue_ns = (waited, 0) if submission.waited_for_load else (0, waited)
    record.prefill_ns, record.decode_ns = usage.prefill_ns, usage.decode_ns
    record.prompt_tokens, record.cached_tokens = usage.prompt_tokens, usage.cached_tokens
    record.tokens = usage.completion_tokens
    return Done(
        reason=reason,
        total_ns=time.monotonic_ns() - record.began_ns,
        load_ns=running - record.began_ns,
        prompt_eval_count=usage.prompt_tokens,
        prompt_eval_ns=usage.prefill_ns,
        eval_count=usage.completion_tokens,
        eval_ns=usage.decode_ns,
        cached_tokens=usage.cached_tokens,
    )
