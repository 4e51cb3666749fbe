"""Builds prompts: from a request to the tokens that the worker runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.errors import invalid
from gateway.formats.chat_format import ChatFormat
from gateway.formats.reply_parser import ReplyParser
from gateway.formats.thoughts import without_old_thoughts
from gateway.generation.options import Options
from gateway.generation.request import Generation, Kind, Message
from gateway.prompt.conversation import Conversation, assemble, think_variables
from gateway.prompt.images import CELLS_PER_IMAGE, TokenPart, divide, images_of, with_marks
from gateway.prompt.templates.go_syntax import syntax_of_model
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.renderers import Renderers
from gateway.prompt.truncate import check_length, cut_middle, drop_oldest
from gateway.prompt.vocabulary.tokenizer import TextKind
from gateway.prompt.vocabulary.vocabularies import Vocabularies
from gateway.prompt.vocabulary.vocabulary import Vocabulary
from remuda.v1 import store_pb2


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt ready to run."""

    text: str
    tokens: list[int]
    vocabulary: Vocabulary
    segments: list[TokenPart] = field(default_factory=list[TokenPart])
    """The parts up to and including the last image; `tokens` follow them."""

    @property
    def size(self) -> int:
        """An estimate in tokens: only the worker knows how many an image takes."""
        before = sum(len(segment.tokens) + CELLS_PER_IMAGE for segment in self.segments)
        return before + len(self.tokens)


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request with everything that its prompt and its reply depend on."""

    generation: Generation
    bundle: store_pb2.Bundle
    options: Options
    format: ChatFormat
    think: bool | str | None

    @property
    def is_native_chat(self) -> bool:
        """Whether Ollama leaves this chat to its runner, which never cuts the middle out."""
        return self.generation.kind is Kind.CHAT and self.format.is_native

    def reply_parser(self, prompt: Prompt) -> ReplyParser:
        return self.format.reply_parser(self.generation, self.think, prompt.text)


class PromptBuilder:
    """Renders, tokenises and shortens prompts."""

    def __init__(self, renderers: Renderers, vocabularies: Vocabularies) -> None:
        self._renderers = renderers
        self.vocabularies = vocabularies

    async def build(self, resolved: ResolvedRequest) -> Prompt:
        """The prompt. Raises GatewayError: 400 when it is too long, 500 when the template fails."""
        vocabulary = await self.vocabularies.get(resolved.bundle)
        prompt = await self._written(resolved, vocabulary)
        if prompt.segments or len(prompt.tokens) < resolved.options.num_ctx:
            return prompt  # as in Ollama, a prompt with images is never cut: the worker checks whether it fits
        if not resolved.generation.truncate or not resolved.generation.shift or resolved.is_native_chat:
            check_length(prompt.tokens, resolved.options.num_ctx)
        options, has_bos = resolved.options, vocabulary.tokenizer.adds_bos
        tokens = cut_middle(prompt.tokens, options.num_ctx, options.num_keep, has_bos=has_bos)
        return Prompt(prompt.text, tokens, vocabulary)

    async def _written(self, resolved: ResolvedRequest, vocabulary: Vocabulary) -> Prompt:
        generation = resolved.generation
        if generation.prompt_tokens:
            text = await vocabulary.text_of(generation.prompt_tokens, "prompt")
            return Prompt(text, list(generation.prompt_tokens), vocabulary)
        if generation.raw:
            return await _tokenized(vocabulary, generation.prompt, resolved.options.num_ctx, generation.images)
        if generation.suffix:
            return await self._insertion(resolved, vocabulary)
        return await self._conversation(resolved, vocabulary)

    async def _insertion(self, resolved: ResolvedRequest, vocabulary: Vocabulary) -> Prompt:
        """Renders the request's Go template or the model's own. Where neither inserts, special tokens mark the gap."""
        generation, marks, num_ctx = resolved.generation, vocabulary.tokenizer.infill, resolved.options.num_ctx
        template = generation.template or resolved.bundle.go_template
        if generation.template or syntax_of_model(template).uses("Suffix"):
            variables = {"Prompt": generation.prompt, "Suffix": generation.suffix, **think_variables(resolved.think)}
            text = await self._renderers.of(generation).render(Language.GO, template, lambda: variables)
            return await _tokenized(vocabulary, text, num_ctx)
        if marks is None:
            raise invalid(f"{resolved.bundle.full_name} does not support insert")
        texts = generation.prompt, generation.suffix
        before, after = await vocabulary.tokenize_all(texts, num_ctx, TextKind.PLAIN)
        if generation.truncate and generation.shift:
            tokens = marks.fitted(before, after, num_ctx)
        else:
            tokens = marks.prompt(before, after)
        check_length(tokens, num_ctx)
        return Prompt(vocabulary.tokenizer.detokenize(tokens), tokens, vocabulary)

    async def _conversation(self, resolved: ResolvedRequest, vocabulary: Vocabulary) -> Prompt:
        renderer = self._renderers.of(resolved.generation)
        messages = await renderer.prepare(_messages_of, resolved)
        before = await vocabulary.text_of(resolved.generation.context or (), "context")

        async def write(some: Sequence[Message]) -> Prompt:
            marked = await renderer.prepare(with_marks, some, at_end=resolved.is_native_chat)
            text = await resolved.format.render(renderer, _conversation_of(resolved, vocabulary, marked))
            if before and vocabulary.tokenizer.adds_bos:
                text = text.removeprefix(vocabulary.tokenizer.bos_text)  # the context begins with one
            return await _tokenized(vocabulary, before + text, resolved.options.num_ctx, images_of(some))

        is_generate = resolved.generation.kind is Kind.GENERATE
        if not resolved.generation.truncate or (is_generate and resolved.format.is_native):
            return await write(messages)
        return await drop_oldest(messages, write, lambda prompt: prompt.size < resolved.options.num_ctx)


def _conversation_of(resolved: ResolvedRequest, vocabulary: Vocabulary, messages: Sequence[Message]) -> Conversation:
    tokenizer = vocabulary.tokenizer
    return Conversation(messages, resolved.generation.tools, resolved.think, tokenizer.bos_text, tokenizer.eos_text)


async def _tokenized(vocabulary: Vocabulary, text: str, num_ctx: int, images: Sequence[bytes] = ()) -> Prompt:
    parts, rest = divide(text, images, num_ctx)
    if not parts:
        return Prompt(text, await vocabulary.tokenize(text, num_ctx), vocabulary)
    first = await vocabulary.tokenize(parts[0].text, num_ctx)
    texts = [*(part.text for part in parts[1:]), rest]
    *others, last = await vocabulary.tokenize_all(texts, num_ctx, TextKind.PART)
    segments = [TokenPart(tokens, part.image) for tokens, part in zip([first, *others], parts, strict=True)]
    return Prompt(text, last, vocabulary, segments)


def _messages_of(resolved: ResolvedRequest) -> tuple[Message, ...]:
    generation, family = resolved.generation, resolved.bundle.details.family
    messages = assemble(generation, resolved.bundle)
    if generation.kind is Kind.CHAT and resolved.format.drops_old_thoughts(generation.model, family):
        return without_old_thoughts(messages)
    return messages
