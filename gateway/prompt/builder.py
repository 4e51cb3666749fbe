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
from gateway.prompt.templates.go_syntax import parse_go
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.renderer import TemplateRenderer
from gateway.prompt.tokenizer import Tokenizer, Tokenizers
from gateway.prompt.truncate import check_length, cut_middle, drop_oldest
from remuda.v1 import store_pb2


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt ready to run."""

    text: str
    tokens: list[int]
    tokenizer: Tokenizer
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

    def __init__(self, renderer: TemplateRenderer, tokenizers: Tokenizers) -> None:
        self._renderer = renderer
        self.tokenizers = tokenizers

    async def build(self, resolved: ResolvedRequest) -> Prompt:
        """The prompt. Raises GatewayError: 400 when it is too long, 500 when the template fails."""
        tokenizer = await self.tokenizers.get(resolved.bundle)
        prompt = await self._written(resolved, tokenizer)
        if prompt.segments or len(prompt.tokens) < resolved.options.num_ctx:
            return prompt  # as in Ollama, a prompt with images is never cut: the worker checks whether it fits
        if not resolved.generation.truncate or not resolved.generation.shift or resolved.is_native_chat:
            check_length(prompt.tokens, resolved.options.num_ctx)
        options = resolved.options
        tokens = cut_middle(prompt.tokens, options.num_ctx, options.num_keep, has_bos=tokenizer.adds_bos)
        return Prompt(prompt.text, tokens, tokenizer)

    async def _written(self, resolved: ResolvedRequest, tokenizer: Tokenizer) -> Prompt:
        generation = resolved.generation
        if generation.prompt_tokens:
            text = await self.tokenizers.text_of(tokenizer, generation.prompt_tokens, "prompt")
            return Prompt(text, list(generation.prompt_tokens), tokenizer)
        if generation.raw:
            return await self._tokenized(tokenizer, generation.prompt, generation.images)
        if generation.suffix:
            return await self._insertion(resolved, tokenizer)
        return await self._conversation(resolved, tokenizer)

    async def _insertion(self, resolved: ResolvedRequest, tokenizer: Tokenizer) -> Prompt:
        """Renders the request's Go template or the model's own. Where neither inserts, special tokens mark the gap."""
        generation, marks = resolved.generation, tokenizer.infill
        template = generation.template or resolved.bundle.go_template
        if generation.template or parse_go(template).uses("Suffix"):
            variables = {"Prompt": generation.prompt, "Suffix": generation.suffix, **think_variables(resolved.think)}
            return await self._tokenized(tokenizer, await self._renderer.render(Language.GO, template, variables))
        if marks is None:
            raise invalid(f"{resolved.bundle.full_name} does not support insert")
        before = await self.tokenizers.tokenize_plain(tokenizer, generation.prompt)
        after = await self.tokenizers.tokenize_plain(tokenizer, generation.suffix)
        if generation.truncate and generation.shift:
            tokens = marks.fitted(before, after, resolved.options.num_ctx)
        else:
            tokens = marks.prompt(before, after)
        check_length(tokens, resolved.options.num_ctx)
        return Prompt(tokenizer.detokenize(tokens), tokens, tokenizer)

    async def _conversation(self, resolved: ResolvedRequest, tokenizer: Tokenizer) -> Prompt:
        messages = _messages_of(resolved)
        before = await self.tokenizers.text_of(tokenizer, resolved.generation.context or (), "context")

        async def write(some: Sequence[Message]) -> Prompt:
            text = await self._render(resolved, tokenizer, with_marks(some, at_end=resolved.is_native_chat))
            if before and tokenizer.adds_bos:
                text = text.removeprefix(tokenizer.bos_text)  # the context begins with one
            return await self._tokenized(tokenizer, before + text, images_of(some))

        is_generate = resolved.generation.kind is Kind.GENERATE
        if not resolved.generation.truncate or (is_generate and resolved.format.is_native):
            return await write(messages)
        return await drop_oldest(messages, write, lambda prompt: prompt.size < resolved.options.num_ctx)

    async def _render(self, resolved: ResolvedRequest, tokenizer: Tokenizer, messages: Sequence[Message]) -> str:
        tools, think = resolved.generation.tools, resolved.think
        conversation = Conversation(messages, tools, think, tokenizer.bos_text, tokenizer.eos_text)
        return await resolved.format.render(self._renderer, conversation)

    async def _tokenized(self, tokenizer: Tokenizer, text: str, images: Sequence[bytes] = ()) -> Prompt:
        parts, rest = divide(text, images)
        if not parts:
            return Prompt(text, await self.tokenizers.tokenize(tokenizer, text), tokenizer)
        first = await self.tokenizers.tokenize(tokenizer, parts[0].text)
        others = [await self.tokenizers.tokenize_part(tokenizer, part.text) for part in parts[1:]]
        segments = [TokenPart(tokens, part.image) for tokens, part in zip([first, *others], parts, strict=True)]
        return Prompt(text, await self.tokenizers.tokenize_part(tokenizer, rest), tokenizer, segments)


def _messages_of(resolved: ResolvedRequest) -> tuple[Message, ...]:
    generation, family = resolved.generation, resolved.bundle.details.family
    messages = assemble(generation, resolved.bundle)
    if generation.kind is Kind.CHAT and resolved.format.drops_old_thoughts(generation.model, family):
        return without_old_thoughts(messages)
    return messages
