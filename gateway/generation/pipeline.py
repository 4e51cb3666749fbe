"""The way of a generation: resolve the model, check, render, submit, and turn the worker's output into events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from gateway.errors import GatewayError, overloaded
from gateway.formats.chat_format import ChatFormat
from gateway.formats.go_template import GoTemplateFormat
from gateway.formats.registry import chat_format_of
from gateway.generation import checks
from gateway.generation.connection import ClientConnection
from gateway.generation.events import Done, Event
from gateway.generation.model_spec import model_spec, work_of
from gateway.generation.options import Options
from gateway.generation.options_resolver import OptionsResolver
from gateway.generation.record import RequestRecord
from gateway.generation.reply_events import ReplyEvents, done_of, write_record
from gateway.generation.request import Generation
from gateway.grammar.answer import AnswerGrammars
from gateway.grammar.reply_grammar import UNCONSTRAINED, ReplyGrammar, reply_grammar
from gateway.links.scheduler import SchedulerLink
from gateway.links.store import StoreLink
from gateway.links.submission import Submission
from gateway.links.token_stream import UnreadLimit
from gateway.prompt.builder import Prompt, PromptBuilder, ResolvedRequest
from gateway.prompt.templates.go_syntax import parse_go
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.threads import Threads
from remuda.v1 import store_pb2

log = get_logger()


class GenerationPipeline:
    """Runs the generations of all surfaces."""

    def __init__(
        self,
        settings: Settings,
        store: StoreLink,
        scheduler: SchedulerLink,
        prompts: PromptBuilder,
        options: OptionsResolver,
    ) -> None:
        self._settings = settings
        self._store = store
        self._scheduler = scheduler
        self._prompts = prompts
        self._vocabularies = prompts.vocabularies
        self._options = options
        self._template_threads = Threads(
            "templates", settings.blocking_threads, settings.request_template_queue, overloaded
        )
        self._schema_threads = Threads("schemas", settings.blocking_threads, settings.blocking_queue, overloaded)
        self._grammars = AnswerGrammars(settings)

    async def close(self) -> None:
        """Ends the processes of its own."""
        await self._grammars.close()

    async def events(
        self, generation: Generation, connection: ClientConnection, record: RequestRecord
    ) -> AsyncGenerator[Event]:
        """Deltas, then one Done. Raises GatewayError. Closing the iterator cancels the generation everywhere."""
        record.model = generation.model
        checks.check_before_lookup(generation)
        bundle = await self._store.resolve(generation.model)
        if checks.is_unload(generation):
            await self._scheduler.unload(bundle.model_path)
            yield _immediate("unload", record)
            return
        checks.check_abilities(generation, bundle, fills_gaps=await self._fills_gaps(generation, bundle))
        options = await self._options.resolve(generation.options, bundle)
        checks.check_stops(options.stop, self._settings.max_stops, self._settings.max_stop_bytes)
        if checks.is_empty(generation):
            await self._scheduler.load(model_spec(bundle, options), generation.keep_alive_ns)
            yield _immediate("load", record)
            return
        resolved = await self._resolve(generation, bundle, options)
        prompt = await self._prompts.build(resolved)
        if generation.debug_render_only:
            yield Done("", rendered=prompt.text, rendered_images=len(prompt.segments))
            return
        checks.check_not_blank(prompt)
        checks.check_media(prompt, self._settings.max_media)
        submission = await self._submission(resolved, prompt, connection)
        async with aclosing(self._run(submission, resolved, prompt, connection, record)) as events:
            async for event in events:
                yield event

    async def _fills_gaps(self, generation: Generation, bundle: store_pb2.Bundle) -> bool:
        """Whether the model has tokens for filling in the middle. Looks only where that decides alone."""
        if not generation.suffix or "insert" in bundle.capabilities:
            return False
        vocabulary = await self._vocabularies.get(bundle)
        return vocabulary.tokenizer.infill is not None

    async def _resolve(self, generation: Generation, bundle: store_pb2.Bundle, options: Options) -> ResolvedRequest:
        chat_format = await self._format(generation, bundle)
        checks.check_images(generation, bundle)
        checks.check_tools(generation, chat_format)
        return ResolvedRequest(generation, bundle, options, chat_format, checks.thinking_of(generation, bundle))

    async def _format(self, generation: Generation, bundle: store_pb2.Bundle) -> ChatFormat:
        """The model's format, or one of the request's own template, which a thread parses. Raises GatewayError."""
        if not generation.template:
            return GoTemplateFormat(bundle.go_template) if generation.suffix else chat_format_of(bundle)
        checks.check_template(generation.template, self._settings.max_template)
        parsed = await self._template_threads.run(parse_go, generation.template)
        return GoTemplateFormat(generation.template, parsed)

    async def _grammar(self, resolved: ResolvedRequest, prompt: Prompt) -> ReplyGrammar:
        answer = await self._grammars.rules(resolved.generation)
        if answer is None:
            return UNCONSTRAINED
        return await self._schema_threads.run(reply_grammar, answer, resolved, prompt)

    async def _submission(self, resolved: ResolvedRequest, prompt: Prompt, connection: ClientConnection) -> Submission:
        return self._scheduler.submission(
            model_spec(resolved.bundle, resolved.options),
            resolved.generation.keep_alive_ns,
            work_of(resolved, prompt, await self._grammar(resolved, prompt)),
            UnreadLimit(self._settings.max_unread, connection.stuck.set),
        )

    async def _run(
        self,
        submission: Submission,
        resolved: ResolvedRequest,
        prompt: Prompt,
        connection: ClientConnection,
        record: RequestRecord,
    ) -> AsyncGenerator[Event]:
        record.id = submission.id
        reply = ReplyEvents(resolved, prompt)
        async with aclosing(submission.outputs()) as outputs:
            async for output in outputs:
                if delta := reply.delta(output):
                    yield delta
                if output.finished:
                    rest, calls = reply.end()
                    if rest:
                        yield rest
                    done = done_of(output.finished, submission.progress, connection)
                    write_record(record, done, submission.progress)
                    yield replace(done, tool_calls=calls, context=await self._context(resolved, prompt, reply))

    async def _context(self, resolved: ResolvedRequest, prompt: Prompt, reply: ReplyEvents) -> tuple[int, ...] | None:
        """Prompt and reply as the tokens that a next request may begin with; None where they cannot be had. The reply
        is complete without them."""
        if not resolved.generation.wants_context:
            return None
        try:
            return tuple(await prompt.vocabulary.tokenize(prompt.text + reply.text, 2 * resolved.options.num_ctx))
        except GatewayError as error:
            log.warning("a reply has no context", model=resolved.generation.model, reason=error.message)
            return None


def _immediate(reason: str, record: RequestRecord) -> Done:
    record.outcome = reason
    return Done(reason)
