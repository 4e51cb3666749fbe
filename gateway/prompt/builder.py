"""From a request to the tokens that the worker runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.errors import ApiError
from gateway.formats.chat_format import ChatFormat, Language
from gateway.generation.options import Options
from gateway.generation.request import Generation, Kind, Message
from gateway.prompt.conversation import assemble, go_variables_of, jinja_variables, think_variables
from gateway.prompt.images import CELLS_PER_IMAGE, Segment, divide, images_of, with_marks
from gateway.prompt.templates.legacy import render_legacy
from gateway.prompt.templates.renderer import TemplateRenderer
from gateway.prompt.tokenizer import Vocabularies, Vocabulary
from gateway.prompt.truncate import check_length, cut_middle, drop_oldest
from remuda.v1 import store_pb2


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt ready to run."""

    text: str
    tokens: list[int]
    vocabulary: Vocabulary
    segments: list[Segment] = field(default_factory=list[Segment])
    """What comes before the tokens, where there are images."""

    @property
    def size(self) -> int:
        """Tokens, about: how many an image takes is not known here."""
        before = sum(len(segment.tokens) + CELLS_PER_IMAGE for segment in self.segments)
        return before + len(self.tokens)


@dataclass(frozen=True, slots=True)
class Draft:
    """All that a prompt is made of."""

    generation: Generation
    bundle: store_pb2.Bundle
    options: Options
    format: ChatFormat
    think: bool | str | None

    @property
    def is_native_chat(self) -> bool:
        """Ollama leaves these to its runner, which never cuts the middle out."""
        return self.generation.kind is Kind.CHAT and self.format.language is Language.JINJA


class PromptBuilder:
    """Renders, tokenises and shortens prompts."""

    def __init__(self, renderer: TemplateRenderer, vocabularies: Vocabularies) -> None:
        self._renderer = renderer
        self.vocabularies = vocabularies

    async def build(self, draft: Draft) -> Prompt:
        """The prompt. Raises ApiError: 400 when it is too long, 500 when the template fails."""
        vocabulary = await self.vocabularies.get(draft.bundle)
        prompt = await self._written(draft, vocabulary)
        if prompt.segments or len(prompt.tokens) < draft.options.num_ctx:
            return prompt  # as in Ollama, nothing is cut out of a prompt with images: the worker sees whether it fits
        if not draft.generation.truncate or not draft.generation.shift or draft.is_native_chat:
            check_length(prompt.tokens, draft.options.num_ctx)
        options = draft.options
        tokens = cut_middle(prompt.tokens, options.num_ctx, options.num_keep, has_bos=vocabulary.adds_bos)
        return Prompt(prompt.text, tokens, vocabulary)

    async def _written(self, draft: Draft, vocabulary: Vocabulary) -> Prompt:
        generation = draft.generation
        if generation.prompt_tokens:
            text = await self.vocabularies.text_of(vocabulary, generation.prompt_tokens, "prompt")
            return Prompt(text, list(generation.prompt_tokens), vocabulary)
        if generation.raw:
            return await self._tokenized(vocabulary, generation.prompt, generation.images)
        if generation.suffix:
            return await self._insertion(draft, vocabulary)
        return await self._conversation(draft, vocabulary)

    async def _insertion(self, draft: Draft, vocabulary: Vocabulary) -> Prompt:
        """By the request's or the model's Go template; by the vocabulary's own tokens where the model's knows none."""
        generation, marks = draft.generation, vocabulary.infill
        if generation.template or draft.format.syntax.uses("Suffix"):
            variables = {"Prompt": generation.prompt, "Suffix": generation.suffix, **think_variables(draft.think)}
            return await self._tokenized(
                vocabulary, await self._renderer.render("go", draft.format.template, variables)
            )
        if marks is None:
            raise ApiError(400, f"{draft.bundle.full_name} does not support insert")
        before = await self.vocabularies.tokenize_plain(vocabulary, generation.prompt)
        after = await self.vocabularies.tokenize_plain(vocabulary, generation.suffix)
        if generation.truncate and generation.shift:
            tokens = marks.fitted(before, after, draft.options.num_ctx)
        else:
            tokens = marks.prompt(before, after)
        check_length(tokens, draft.options.num_ctx)
        return Prompt(vocabulary.detokenize(tokens), tokens, vocabulary)

    async def _conversation(self, draft: Draft, vocabulary: Vocabulary) -> Prompt:
        messages = assemble(draft.generation, draft.bundle)
        before = await self.vocabularies.text_of(vocabulary, draft.generation.context or (), "context")

        async def write(some: Sequence[Message]) -> Prompt:
            text = await self._render(draft, vocabulary, with_marks(some, at_end=draft.is_native_chat))
            if before and vocabulary.adds_bos:
                text = text.removeprefix(vocabulary.bos_text)  # there is one at the very beginning
            return await self._tokenized(vocabulary, before + text, images_of(some))

        is_native = draft.format.language is Language.JINJA
        if not draft.generation.truncate or (is_native and draft.generation.kind is Kind.GENERATE):
            return await write(messages)
        return await drop_oldest(messages, write, lambda prompt: prompt.size < draft.options.num_ctx)

    async def _render(self, draft: Draft, vocabulary: Vocabulary, messages: Sequence[Message]) -> str:
        template, think = draft.format.template, draft.think
        if draft.format.language is Language.JINJA:
            named = jinja_variables(messages, draft.generation, think, vocabulary.bos_text, vocabulary.eos_text)
            return await self._renderer.render("jinja", template, named)
        syntax = draft.format.syntax
        if not syntax.uses("Messages"):
            return await render_legacy(self._renderer, syntax, messages, think)
        return await self._renderer.render("go", syntax.source, go_variables_of(messages, draft.generation, think))

    async def _tokenized(self, vocabulary: Vocabulary, text: str, images: Sequence[bytes] = ()) -> Prompt:
        parts, rest = divide(text, images)
        if not parts:
            return Prompt(text, await self.vocabularies.tokenize(vocabulary, text), vocabulary)
        first = await self.vocabularies.tokenize(vocabulary, parts[0].text)
        others = [await self.vocabularies.tokenize_part(vocabulary, part.text) for part in parts[1:]]
        segments = [Segment(tokens, part.image) for tokens, part in zip([first, *others], parts, strict=True)]
        return Prompt(text, await self.vocabularies.tokenize_part(vocabulary, rest), vocabulary, segments)
