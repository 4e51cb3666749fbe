"""Templates render as their authors expect, and hostile ones end."""

from collections.abc import AsyncGenerator
from typing import Any

import psutil
import pytest
import pytest_asyncio

from gateway.errors import ErrorKind, GatewayError
from gateway.generation.request import Message, ToolCall
from gateway.prompt.conversation import Conversation, go_variables_of, jinja_variables
from gateway.prompt.templates.go_syntax import Tags, parse_go
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.legacy import render_legacy
from gateway.prompt.templates.renderer import TemplateRenderer
from remuda.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "does <it>",
        "parameters": {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": ["integer", "null"]}}},
    },
}
TALK = (
    Message("user", "hi"),
    Message("user", "there"),
    Message("assistant", "", tool_calls=(ToolCall("f", {"z": "é", "a": 1}, "call_1"),)),
    Message("tool", "42", tool_name="f"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def renderer() -> AsyncGenerator[TemplateRenderer]:
    settings: dict[str, Any] = {"REMUDA_TEMPLATE_TIMEOUT": "700ms", "REMUDA_TEMPLATE_MAX_OUTPUT": "1000000"}
    renderer = TemplateRenderer.for_models(Settings(**settings))
    yield renderer
    await renderer.close()


async def jinja(renderer: TemplateRenderer, template: str, think: bool | str | None = None) -> str:
    conversation = Conversation(TALK, (TOOL,), think, "<s>", "</s>")
    return await renderer.render(Language.JINJA, template, lambda: jinja_variables(conversation))


async def go(renderer: TemplateRenderer, template: str, think: bool | str | None = None) -> str:
    return await renderer.render(Language.GO, template, lambda: go_variables_of(Conversation(TALK, (TOOL,), think)))


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
        "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}",
        "{% for m in messages %}<{{ m.role }}>{{ m['content'][0]['text'] }}{% endfor %}",
        "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% endif %}{% endfor %}",
    ],
)
async def test_contents_are_texts_or_lists_of_parts_as_the_template_wants_them(
    renderer: TemplateRenderer, template: str
) -> None:
    assert await jinja(renderer, template) == "<user>hi<user>there<assistant><tool>42"


async def test_jinja_has_what_hugging_face_templates_use(renderer: TemplateRenderer) -> None:
    template = "{{ bos_token }}{% for m in messages %}{% if loop.last %}{% break %}{% endif %}{{ m.role }};{% endfor %}"
    assert await jinja(renderer, template) == "<s>user;user;assistant;"
    assert await jinja(renderer, "{{ tools | tojson }}") == (
        '[{"type": "function", "function": {"name": "f", "description": "does <it>", "parameters": {"type": "object", '
        '"properties": {"z": {"type": "string"}, "a": {"type": ["integer", "null"]}}}}}]'
    )
    assert await jinja(renderer, "{{ enable_thinking }} {{ reasoning_effort }}", "high") == "True high"
    assert await jinja(renderer, "{{ enable_thinking is defined }}") == "False"


async def test_arguments_serve_templates_that_want_an_object_and_those_that_want_text(
    renderer: TemplateRenderer,
) -> None:
    arguments = "messages[2].tool_calls[0].function.arguments"
    expected = '{"z": "é", "a": 1}'
    for form in ("{{ ARGS }}", "{{ ARGS | tojson }}", "{{ '' + ARGS }}", "{{ ARGS + '' }}", "{{ '' ~ ARGS }}"):
        assert await jinja(renderer, form.replace("ARGS", arguments)) == expected
    assert await jinja(renderer, f"{{{{ {arguments}.a }}}}") == "1"


async def test_the_message_of_a_template_that_refuses_reaches_the_client(renderer: TemplateRenderer) -> None:
    with pytest.raises(GatewayError) as caught:
        await jinja(renderer, "{{ raise_exception('roles must alternate') }}")
    assert (caught.value.kind, caught.value.message) == (ErrorKind.INTERNAL, "template: roles must alternate")


HOSTILE = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in range(10**9) %}{% endfor %}",
    "{{ 'a' * 10**10 }}",
    "{{ 'a' * 10**7 }}",
    "{{ 'a'.ljust(10**10) }}",
    "{{ '%9999999999d' % 1 }}",
    "{% set n = namespace(s='aa') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ messages.append({}) }}",
    "{{ joiner.__init__.__globals__ }}",
    "{% include '/etc/passwd' %}",
    "{{ unclosed",
]


@pytest.mark.parametrize("template", HOSTILE)
async def test_a_hostile_template_ends_and_the_next_one_renders(renderer: TemplateRenderer, template: str) -> None:
    with pytest.raises(GatewayError) as caught:
        await jinja(renderer, template)
    assert caught.value.kind is ErrorKind.INTERNAL
    assert caught.value.message.startswith("template: ")
    assert "Traceback" not in caught.value.message
    assert await jinja(renderer, "{{ messages[0].content }}") == "hi"


async def test_the_process_that_is_started_ahead_counts() -> None:
    variables: dict[str, Any] = {"REMUDA_TEMPLATE_PROCESSES": "1"}
    one = TemplateRenderer.for_models(Settings(**variables))
    one.start()
    assert await jinja(one, "{{ messages[0].content }}") == "hi"
    assert len(one._pool._idle) == 1
    await one.close()


async def test_a_template_process_that_was_killed_is_replaced(renderer: TemplateRenderer) -> None:
    assert await jinja(renderer, "{{ messages[0].content }}") == "hi"
    (process,) = [child for child in psutil.Process().children() if "templates" in " ".join(child.cmdline())]
    process.kill()
    assert await jinja(renderer, "{{ messages[0].content }}") == "hi"


@pytest.mark.parametrize(
    "template",
    ['{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}', '{{ printf "%9999999999d" 1 }}', "{{ range"],
)
async def test_a_hostile_go_template_ends(renderer: TemplateRenderer, template: str) -> None:
    with pytest.raises(GatewayError, match="template: "):
        await go(renderer, template)


async def test_go_templates_see_messages_of_one_role_joined(renderer: TemplateRenderer) -> None:
    template = "{{ range .Messages }}[{{ .Role }}:{{ .Content }}]{{ end }}"
    assert await go(renderer, template) == "[user:hi\n\nthere][assistant:][tool:42]"


async def test_go_templates_print_tools_and_arguments_as_json(renderer: TemplateRenderer) -> None:
    properties = '{"a":{"type":["integer","null"]},"z":{"type":"string"}}'
    parameters = f'{{"type":"object","properties":{properties}}}'
    function = f'{{"name":"f","description":"does \\u003cit\\u003e","parameters":{parameters}}}'
    tools = f'[{{"type":"function","function":{function}}}]'
    assert await go(renderer, "{{ .Tools }}") == tools
    assert await go(renderer, "{{ json .Tools }}") == tools
    calls = (
        "{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Name }} {{ .Function.Arguments }}{{ end }}{{ end }}"
    )
    assert await go(renderer, calls) == 'f {"a":1,"z":"é"}'


async def test_go_templates_reach_into_tools(renderer: TemplateRenderer) -> None:
    template = (
        "{{ range .Tools }}{{ .Function.Name }}({{ range $name, $p := .Function.Parameters.Properties }}"
        "{{ $name }}: {{ toTypeScriptType $p }};{{ end }}){{ end }}"
    )
    assert await go(renderer, template) == "f(a: number | null;z: string;)"


@pytest.mark.parametrize(
    ("think", "shown"),
    [(None, "false false "), (False, "false true "), (True, "true true medium"), ("low", "true true low")],
)
async def test_go_templates_know_about_thinking(renderer: TemplateRenderer, think: Any, shown: str) -> None:
    assert await go(renderer, "{{ .Think }} {{ .IsThinkSet }} {{ .ThinkLevel }}", think) == shown


async def test_a_template_without_messages_is_executed_for_each_turn(renderer: TemplateRenderer) -> None:
    syntax = parse_go("{{ if .System }}<{{ .System }}>{{ end }}U:{{ .Prompt }} A:{{ .Response }};tail")
    talk = [Message("system", "S"), Message("user", "1"), Message("assistant", "2"), Message("user", "3")]
    assert await render_legacy(renderer, syntax, talk, None) == "<S>U:1 A:2;tailU:3 A:"


async def test_a_template_tells_its_tags() -> None:
    syntax = parse_go(
        "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}"
        '{{ if .ToolCalls }}[CALLS] [{"name": 1}]{{ end }}{{ end }}'
    )
    assert syntax.thinking_tags() == Tags("<think>", "</think>")
    assert syntax.tool_tag() == "[CALLS] ["
    assert syntax.uses("ToolCalls")
    assert not syntax.uses("Suffix")


async def test_a_template_without_a_place_for_the_reply_gets_one() -> None:
    assert parse_go("{{ .Prompt }}").source == "{{ .Prompt }}{{ .Response }}"
