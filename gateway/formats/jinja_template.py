"""Models with a Jinja template whose tool calls are written in no syntax that is known here."""

from dataclasses import dataclass
from typing import ClassVar

from gateway.formats.chat_format import ChatFormat
from gateway.formats.thoughts import THINK_TAGS
from gateway.generation.request import Generation, Kind
from gateway.prompt.conversation import Conversation, jinja_variables
from gateway.prompt.templates.go_syntax import Tags
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.renderer import TemplateRenderer
from remuda.v1.store_pb2 import TEMPLATE_LANGUAGE_JINJA, Bundle


@dataclass(frozen=True, slots=True)
class JinjaTemplateFormat(ChatFormat):
    """A Hugging Face chat template. Families that share one are subclasses."""

    is_native: ClassVar[bool] = True

    @classmethod
    def matches(cls, bundle: Bundle) -> bool:
        return bundle.chat_template.language == TEMPLATE_LANGUAGE_JINJA

    async def render(self, renderer: TemplateRenderer, conversation: Conversation) -> str:
        return await renderer.render(Language.JINJA, self.template, lambda: jinja_variables(conversation))

    def thinking_tags(self) -> Tags | None:
        return THINK_TAGS if THINK_TAGS.closing in self.template else None

    def separates_thoughts(self, generation: Generation, think: bool | str | None) -> bool:
        """Ollama leaves the thoughts in the text of `/api/generate`."""
        del think
        return generation.kind is not Kind.GENERATE
