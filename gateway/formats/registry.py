"""The chat formats that Remuda knows, and the one of a model."""

from gateway.errors import not_implemented
from gateway.formats.chat_format import ChatFormat
from gateway.formats.go_template import GoTemplateFormat
from gateway.formats.hermes import HermesFormat
from gateway.formats.jinja_template import JinjaTemplateFormat
from remuda.v1.store_pb2 import Bundle

FAMILIES: tuple[type[ChatFormat], ...] = (GoTemplateFormat, HermesFormat, JinjaTemplateFormat)
"""The first family that matches wins: one that knows more about a model stands before one that knows less."""


def chat_format_of(bundle: Bundle) -> ChatFormat:
    """The model's format. Raises GatewayError for one that only a renderer or parser of Ollama's own knows."""
    for family in FAMILIES:
        if family.matches(bundle):
            return family(bundle.chat_template.text)
    raise not_implemented(f"the chat format of {bundle.name} is")
