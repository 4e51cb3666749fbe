"""Which chat format a model has."""

from typing import Any

import pytest

from gateway.errors import ErrorKind, GatewayError
from gateway.formats.chat_format import ChatFormat
from gateway.formats.go_template import GoTemplateFormat
from gateway.formats.hermes import HermesFormat
from gateway.formats.jinja_template import JinjaTemplateFormat
from gateway.formats.registry import chat_format_of
from remuda.v1 import store_pb2 as pb

GO, JINJA, BUILT_IN = pb.TEMPLATE_LANGUAGE_GO, pb.TEMPLATE_LANGUAGE_JINJA, pb.TEMPLATE_LANGUAGE_BUILT_IN


def bundle(language: pb.TemplateLanguage, text: str) -> pb.Bundle:
    return pb.Bundle(name="m:latest", chat_template=pb.ChatTemplate(language=language, text=text))


@pytest.mark.parametrize(
    ("language", "text", "family"),
    [
        (GO, "{{ .Prompt }}", GoTemplateFormat),
        (GO, "<tool_call>{{ .Prompt }}", GoTemplateFormat),
        (JINJA, "<tool_call>{{ call | tojson }}</tool_call>", HermesFormat),
        (JINJA, "<tool_call><function={{ name }}>", JinjaTemplateFormat),
        (JINJA, "<tool_call>{{ name }}<arg_key>", JinjaTemplateFormat),
        (JINJA, "{{ messages }}", JinjaTemplateFormat),
    ],
)
def test_the_template_tells_the_format(language: pb.TemplateLanguage, text: str, family: type[ChatFormat]) -> None:
    assert chat_format_of(bundle(language, text)) == family(text)


def test_a_built_in_format_is_not_there_yet() -> None:
    with pytest.raises(GatewayError, match="the chat format of m:latest is not implemented yet") as raised:
        chat_format_of(bundle(BUILT_IN, "<|start|>"))
    assert raised.value.kind is ErrorKind.UNSUPPORTED


@pytest.mark.parametrize(
    ("family", "reads"), [(GoTemplateFormat, True), (HermesFormat, True), (JinjaTemplateFormat, False)]
)
def test_a_format_with_a_known_syntax_has_a_parser_for_it(family: type[ChatFormat], reads: bool) -> None:
    tools: tuple[Any, ...] = ({"type": "function", "function": {"name": "f"}},)
    chat_format = family("{{ messages }}" if family is not GoTemplateFormat else "{{ .Prompt }}")
    assert chat_format.reads_calls is reads
    assert (chat_format.call_parser(tools) is not None) is reads


@pytest.mark.parametrize(
    ("model", "family", "drops"),
    [
        ("cria", "llama", False),
        ("anything:4b", "qwen3", True),
        ("deepseek-r1", "qwen2", True),
        ("someone/deepseek-r1:7b", "llama", True),
        ("deepseek-r1-distill", "llama", False),
    ],
)
def test_some_families_must_not_see_old_thoughts(model: str, family: str, drops: bool) -> None:
    assert JinjaTemplateFormat("{{ messages }}").drops_old_thoughts(model, family) is drops
