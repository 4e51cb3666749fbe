"""How a model's prompts are written and its replies read: its chat format, chosen from what the store knows."""

from dataclasses import dataclass
from enum import Enum

from gateway.errors import not_implemented
from gateway.prompt.templates.go_syntax import GoSyntax, Tags, parse_go
from remuda.v1 import store_pb2

THINK_TAGS = Tags("<think>", "</think>")


class Language(Enum):
    """What the template is written in; the value is the renderer's word for it."""

    GO = "go"
    JINJA = "jinja"


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """A template and what it tells about the replies."""

    language: Language
    template: str

    @property
    def syntax(self) -> GoSyntax:
        """The parsed Go template. Raises GatewayError when it does not parse."""
        return parse_go(self.template)

    @property
    def calls_like_hermes(self) -> bool:
        """Whether calls are `<tool_call>{"name": …, "arguments": …}</tool_call>`."""
        return "<tool_call>" in self.template and "<function=" not in self.template and "<arg_key>" not in self.template

    def thinking_tags(self) -> Tags | None:
        """The marks around the model's thoughts."""
        if self.language is Language.GO:
            return self.syntax.thinking_tags()
        return THINK_TAGS if THINK_TAGS.closing in self.template else None


def choose_format(bundle: store_pb2.Bundle) -> ChatFormat:
    """The model's format. Raises GatewayError where only built-in code of Ollama's knows it."""
    template = bundle.chat_template
    if template.language == store_pb2.TEMPLATE_LANGUAGE_BUILT_IN:
        raise not_implemented(f"the chat format of {bundle.name} is")
    is_go = template.language == store_pb2.TEMPLATE_LANGUAGE_GO
    return ChatFormat(Language.GO if is_go else Language.JINJA, template.text)
