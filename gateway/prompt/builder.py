"""From a request to the tokens that the worker runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.generation import Generation, Kind, Message
from gateway.options import Options
from gateway.prompt.conversation import assemble, go_variables_of, jinja_variables, think_variables
from gateway.prompt.formats import ChatFormat, Language
from gateway.prompt.legacy import render_legacy
from gateway.prompt.renderer import TemplateRenderer
from gateway.prompt.truncate import check_length, cut_middle, drop_oldest
from gateway.prompt.vocabulary import Vocabularies, Vocabulary
from remuda.v1 import store_pb2


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt ready to run."""

    text: str
    tokens: list[int]
    vocabulary: Vocabulary


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
        vocabulary = await self.vocabularies.get(draft.bundle.model_digest, draft.bundle.model_path)
        prompt = await self._written(draft, vocabulary)
        if len(prompt.tokens) < draft.options.num_ctx:
            return prompt
        if not draft.generation.truncate or not draft.generation.shift or draft.is_native_chat:
            check_length(prompt.tokens, draft.options.num_ctx)
        options = draft.options
        tokens = cut_middle(prompt.tokens, options.num_ctx, options.num_keep, has_bos=vocabulary.adds_bos)
        return Prompt(prompt.text, tokens, vocabulary)

    async def _written(self, draft: Draft, vocabulary: Vocabulary) -> Prompt:
        generation = draft.generation
        if generation.raw:
            return await self._tokenized(vocabulary, generation.prompt)
        if generation.suffix:
            variables = {"Prompt": generation.prompt, "Suffix": generation.suffix, **think_variables(draft.think)}
            return await self._tokenized(
                vocabulary, await self._renderer.render("go", draft.format.template, variables)
            )
        return await self._conversation(draft, vocabulary)

    async def _conversation(self, draft: Draft, vocabulary: Vocabulary) -> Prompt:
        messages = assemble(draft.generation, draft.bundle)
        before = vocabulary.detokenize(list(draft.generation.context or ()))

        async def write(some: Sequence[Message]) -> Prompt:
            return await self._tokenized(vocabulary, before + await self._render(draft, vocabulary, some))

        is_native = draft.format.language is Language.JINJA
        if not draft.generation.truncate or (is_native and draft.generation.kind is Kind.GENERATE):
            return await write(messages)
        return await drop_oldest(messages, write, lambda prompt: len(prompt.tokens) < draft.options.num_ctx)

    async def _render(self, draft: Draft, vocabulary: Vocabulary, messages: Sequence[Message]) -> str:
        template, think = draft.format.template, draft.think
        if draft.format.language is Language.JINJA:
            named = jinja_variables(messages, draft.generation, think, vocabulary.bos_text, vocabulary.eos_text)
            return await self._renderer.render("jinja", template, named)
        syntax = draft.format.syntax
        if not syntax.uses("Messages"):
            return await render_legacy(self._renderer, syntax, messages, think)
        return await self._renderer.render("go", syntax.source, go_variables_of(messages, draft.generation, think))

    async def _tokenized(self, vocabulary: Vocabulary, text: str) -> Prompt:
        return Prompt(text, await self.vocabularies.tokenize(vocabulary, text), vocabulary)
