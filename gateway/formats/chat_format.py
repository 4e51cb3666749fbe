"""A chat format: how a family of models is prompted, and how it writes thoughts and tool calls.

One file holds one family: a subclass of `ChatFormat`. `registry` finds the family of a model.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from gateway.formats.call_parser import CallParser
from gateway.formats.reply_parser import ReplyParser
from gateway.formats.thinking_splitter import ThinkingSplitter
from gateway.formats.thoughts import Thoughts, is_forgetful
from gateway.generation.request import Generation
from gateway.grammar.lark import LarkWriter
from gateway.prompt.conversation import Conversation
from gateway.prompt.templates.go_syntax import Tags
from gateway.prompt.templates.renderer import TemplateRenderer
from remuda.v1.store_pb2 import Bundle

Tools = Sequence[Mapping[str, Any]]
"""Tool definitions in the native form."""


@dataclass(frozen=True, slots=True)
class ChatFormat(ABC):
    """One family's format, with the template of one model."""

    template: str

    is_native: ClassVar[bool] = False
    """Whether Ollama leaves the family's chats to llama.cpp's own server, which cuts nothing out of a prompt."""
    reads_calls: ClassVar[bool] = False
    """Whether the syntax of the family's tool calls is known here."""

    @classmethod
    @abstractmethod
    def matches(cls, bundle: Bundle) -> bool:
        """Whether a model is of this family. The registry asks the families in its order."""

    @abstractmethod
    async def render(self, renderer: TemplateRenderer, conversation: Conversation) -> str:
        """The prompt's text. Raises GatewayError where the template fails."""

    @abstractmethod
    def thinking_tags(self) -> Tags | None:
        """The tags around the model's thoughts; None for a model that does not mark them."""

    @abstractmethod
    def separates_thoughts(self, generation: Generation, think: bool | str | None) -> bool:
        """Whether thoughts are split off this reply, as in Ollama. `think` is the resolved option."""

    def call_parser(self, tools: Tools) -> CallParser | None:
        """A parser for the calls of one reply; None where `reads_calls` is false."""
        del tools
        return None

    def call_grammar(self, lark: LarkWriter, tools: Tools) -> str:
        """One or more calls in Lark, as `call_parser` reads them; empty where `reads_calls` is false."""
        del lark, tools
        return ""

    def drops_old_thoughts(self, model: str, family: str) -> bool:
        """Whether earlier answers lose their thoughts in a chat. `model` is the name as the client wrote it."""
        return is_forgetful(model, family)

    def thoughts(self, generation: Generation, think: bool | str | None, prompt: str) -> Thoughts | None:
        """Where the thoughts of the reply to `prompt` stand; None where nothing is split off."""
        if generation.raw or not self.separates_thoughts(generation, think):
            return None
        tags = self.thinking_tags()
        return Thoughts(tags, prompt.rstrip().endswith(tags.opening)) if tags else None

    def reply_parser(self, generation: Generation, think: bool | str | None, prompt: str) -> ReplyParser:
        """A parser for the reply to `prompt`."""
        thoughts = self.thoughts(generation, think, prompt)
        splitter = ThinkingSplitter(thoughts.tags, inside=thoughts.inside) if thoughts else None
        return ReplyParser(splitter, self.call_parser(generation.tools) if generation.tools else None)
