"""Runs generations: resolve the model, check, render, submit, and turn the worker's text into events."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson

from gateway.formats.go_template import GoTemplateFormat
from gateway.formats.registry import chat_format_of
from gateway.generation import checks
from gateway.generation.events import Delta, Done, Event
from gateway.generation.model_spec import model_spec, work_of
from gateway.generation.options import MIN_CONTEXT, MIN_VISION_CONTEXT, ContextBounds, Options, resolve_options
from gateway.generation.record import RequestRecord
from gateway.generation.request import Generation
from gateway.grammar.answer import AnswerGrammars
from gateway.grammar.reply_grammar import UNCONSTRAINED, ReplyGrammar, reply_grammar
from gateway.links.scheduler import SchedulerLink
from gateway.links.store import StoreLink
from gateway.links.submission import Submission
from gateway.links.token_stream import UnreadLimit
from gateway.prompt.builder import Prompt, PromptBuilder, ResolvedRequest
from gateway.prompt.templates.go_syntax import parse_go
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import store_pb2

REASONS = {pb.FINISH_REASON_STOP: "stop", pb.FINISH_REASON_LENGTH: "length"}


class Serving:
    """What all surfaces call."""

    def __init__(self, settings: Settings, store: StoreLink, scheduler: SchedulerLink, prompts: PromptBuilder) -> None:
        self.store = store
        self.scheduler = scheduler
        self._settings = settings
        self.tokenizers = prompts.tokenizers
        self._prompts = prompts
        self._grammars = AnswerGrammars(settings)

    async def events(self, generation: Generation, record: RequestRecord) -> AsyncGenerator[Event]:
        """Deltas, then one Done. Raises GatewayError. Closing the iterator cancels the generation everywhere."""
        record.model = generation.model
        checks.check_before_lookup(generation)
        bundle = await self.store.resolve(generation.model)
        if checks.is_unload(generation):
            await self.scheduler.unload(bundle.model_path)
            yield _immediate("unload", record)
            return
        checks.check_abilities(generation, bundle, fills_gaps=await self._fills_gaps(generation, bundle))
        options = await self.options(generation.options, bundle)
        checks.check_stops(options.stop, self._settings.max_stops)
        if checks.is_empty(generation):
            await self.scheduler.load(model_spec(bundle, options), generation.keep_alive_ns)
            yield _immediate("load", record)
            return
        await self._check_template(generation.template)
        resolved = self._resolve(generation, bundle, options)
        prompt = await self._prompts.build(resolved)
        if generation.debug_render_only:
            yield Done("", rendered=prompt.text, rendered_images=len(prompt.segments))
            return
        checks.check_not_blank(prompt)
        checks.check_media(prompt, self._settings.max_media)
        grammar = await self._grammar(resolved, prompt)
        async with aclosing(self._run(resolved, prompt, grammar, record)) as events:
            async for event in events:
                yield event

    async def options(self, asked: Mapping[str, Any], bundle: store_pb2.Bundle) -> Options:
        """The options of a request for this model. Raises GatewayError for a value of the wrong type."""
        bounds = ContextBounds(
            default=await self.scheduler.default_context(),
            trained=bundle.details.context_length,
            minimum=MIN_VISION_CONTEXT if "vision" in bundle.capabilities else MIN_CONTEXT,
            cells=self._settings.kv_cells,
        )
        return resolve_options(orjson.loads(bundle.params_json or "{}"), asked, bounds)

    async def _fills_gaps(self, generation: Generation, bundle: store_pb2.Bundle) -> bool:
        """Whether the model has tokens for filling in the middle; looked up where that decides alone."""
        if not generation.suffix or "insert" in bundle.capabilities:
            return False
        tokenizer = await self.tokenizers.get(bundle)
        return tokenizer.infill is not None

    async def _check_template(self, template: str | None) -> None:
        """Refuses a request's own template that is too long or does not parse. Parsed in a thread, it is remembered."""
        if template:
            checks.check_template(template, self._settings.max_template)
            await asyncio.to_thread(parse_go, template)

    def _resolve(self, generation: Generation, bundle: store_pb2.Bundle, options: Options) -> ResolvedRequest:
        checks.check_images(generation, bundle)
        if generation.template or generation.suffix:
            chosen = GoTemplateFormat(generation.template or bundle.go_template)
        else:
            chosen = chat_format_of(bundle)
        checks.check_tools(generation, chosen)
        return ResolvedRequest(generation, bundle, options, chosen, checks.thinking_of(generation, bundle))

    async def _grammar(self, resolved: ResolvedRequest, prompt: Prompt) -> ReplyGrammar:
        """What constrains the reply."""
        answer = await self._grammars.rules(resolved.generation)
        if answer is None:
            return UNCONSTRAINED
        return await asyncio.to_thread(reply_grammar, answer, resolved, prompt)

    async def _run(
        self, resolved: ResolvedRequest, prompt: Prompt, grammar: ReplyGrammar, record: RequestRecord
    ) -> AsyncGenerator[Event]:
        spec = model_spec(resolved.bundle, resolved.options)
        work = work_of(resolved, prompt, grammar)
        asked = resolved.generation
        submission = self.scheduler.submission(spec, asked.keep_alive_ns, work)
        submission.wants_tokens = asked.wants_tokens
        submission.unread_limit = UnreadLimit(self._settings.max_unread, record.client_stuck.set)
        record.id = submission.id
        parser, written = resolved.reply_parser(prompt), list[str]()
        async with aclosing(submission.batches()) as batches:
            async for batch in batches:
                if asked.wants_context:
                    written.append(batch.text)
                delta = parser.feed(batch.text) if batch.text else None
                if batch.logprobs or batch.tokens:
                    delta = replace(delta or Delta(), logprobs=batch.logprobs, tokens=batch.tokens)
                if delta is not None:
                    yield delta
                if batch.finished:
                    rest, calls = parser.end()
                    if rest:
                        yield rest
                    done = _done(submission, batch.finished, record)
                    yield replace(done, tool_calls=calls, context=await self._context(resolved, prompt, written))

    async def _context(self, resolved: ResolvedRequest, prompt: Prompt, written: list[str]) -> tuple[int, ...] | None:
        """Prompt and reply as the tokens that a next request may begin with."""
        if not resolved.generation.wants_context:
            return None
        return tuple(await self.tokenizers.tokenize(prompt.tokenizer, "".join([prompt.text, *written])))


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
