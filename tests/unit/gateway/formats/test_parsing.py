"""Replies are split into thoughts, content and calls, wherever the stream cuts them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.formats.go_template import GoTemplateCalls
from gateway.formats.hermes import HermesCalls
from gateway.formats.reply_parser import ReplyParser
from gateway.formats.thinking_splitter import ThinkingSplitter
from gateway.generation.request import ToolCall
from gateway.prompt.templates.go_syntax import Tags

TAGS = Tags("<think>", "</think>")
SIZES = (1, 2, 3, 5, 1000)


def read(parser: ReplyParser, text: str, size: int) -> tuple[str, str, list[ToolCall]]:
    """Thoughts, content and calls of `text`, fed in pieces of `size` characters."""
    deltas = [parser.feed(text[at : at + size]) for at in range(0, len(text), size)]
    last, late = parser.end()
    seen = [delta for delta in [*deltas, last] if delta]
    calls = [call for delta in seen for call in delta.tool_calls] + list(late)
    return "".join(d.thinking for d in seen), "".join(d.content for d in seen), calls


def bare(calls: list[ToolCall]) -> list[tuple[str, Any]]:
    return [(call.name, dict(call.arguments)) for call in calls]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("text", "thoughts", "content"),
    [
        ("<think>\nwhy\n</think>\n\nyes", "why", "yes"),
        ("  <think>a < b </th </think>c", "a < b </th", "c"),
        ("no tags <think>x</think>", "", "no tags <think>x</think>"),
        ("  <thin", "", "  <thin"),
        ("<think>cut o", "cut o", ""),
        ("<think></think>only", "", "only"),
    ],
)
def test_thoughts_are_split_from_the_answer(text: str, thoughts: str, content: str, size: int) -> None:
    assert read(ReplyParser(ThinkingSplitter(TAGS, inside=False)), text, size)[:2] == (thoughts, content)


@pytest.mark.parametrize("size", SIZES)
def test_a_prompt_that_opened_the_tag_starts_inside_the_thoughts(size: int) -> None:
    assert read(ReplyParser(ThinkingSplitter(TAGS, inside=True)), "\nhm</think>\nyes", size)[:2] == ("hm", "yes")


@pytest.mark.parametrize("size", SIZES)
def test_hermes_calls_are_taken_out_of_the_content(size: int) -> None:
    first = '<tool_call>\n{"name": "f", "arguments": {"b": 1, "a": "<x>"}}\n</tool_call>'
    text = f'Let me see.\n{first}\n<tool_call>{{"name": "g"}}</tool_call>'
    thoughts, content, calls = read(ReplyParser(calls=HermesCalls()), text, size)
    assert (thoughts, content, bare(calls)) == ("", "Let me see.", [("f", {"b": 1, "a": "<x>"}), ("g", {})])
    assert [call.index for call in calls] == [0, 1]
    assert len({call.id for call in calls}) == 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("text", ["a < b <tool_c and more", "ends with <tool_call", "space at the end \n"])
def test_text_that_only_looks_like_a_call_is_content(text: str, size: int) -> None:
    assert read(ReplyParser(calls=HermesCalls()), text, size) == ("", text, [])


def test_a_call_without_its_closing_tag_counts() -> None:
    assert bare(read(ReplyParser(calls=HermesCalls()), '<tool_call>{"name":"f","arguments":{}}', 3)[2]) == [("f", {})]


@pytest.mark.parametrize(
    "text", ['<tool_call>{"name": "f", "argum', '<tool_call>{"name":"f","arguments":[]}</tool_call>']
)
def test_a_broken_call_is_an_error_not_a_wrong_result(text: str) -> None:
    with pytest.raises(GatewayError, match='invalid tool call arguments for "f"'):
        read(ReplyParser(calls=HermesCalls()), text, 4)


def generic(tag: str) -> Callable[[], GoTemplateCalls]:
    return lambda: GoTemplateCalls(tag, ["get_weather", "get_weather_now", "add"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("parser", "text", "content", "calls"),
    [
        (
            generic("[TOOL_CALLS]"),
            'Hi [TOOL_CALLS] [{"name": "add", "arguments": {"a": 1}}, {"name": "get_weather", "arguments": {}}] bye',
            "Hi ",
            [("add", {"a": 1}), ("get_weather", {})],
        ),
        (generic("{"), '{"name": "add", "parameters": {"a": 2}}', "", [("add", {"a": 2})]),
        (generic("{"), 'Well, {"name": "add", "parameters": {}}', 'Well, {"name": "add", "parameters": {}}', []),
        (generic("{"), '{"answer": 1}', '{"answer": 1}', []),
        (generic("<call>"), '<call>get_weather_now{"city": "Rome"}', "", [("get_weather_now", {"city": "Rome"})]),
        (generic("<call>"), "a < b", "a < b", []),
        (
            generic("<call>"),
            '<call>{"name": "add", "arguments": {"a": {"b": "}{"}, "c": "\\"}"}}',
            "",
            [("add", {"a": {"b": "}{"}, "c": '"}'})],
        ),
        (generic("<call>"), '<call>{{"name": "add", "arguments": {}}}', "", [("add", {})]),
        (generic("<call>"), '<call>{"oops", {}} add{"a": 1}', "", [("add", {"a": 1})]),
        (
            generic("<call>"),
            '<call>{"a": 1} get_weather add{"a": 2}',
            "",
            [("get_weather", {"a": 1}), ("add", {"a": 2})],
        ),
    ],
)
def test_go_template_models_call_by_tag_name_and_object(
    parser: Callable[[], GoTemplateCalls], text: str, content: str, calls: list[Any], size: int
) -> None:
    seen = read(ReplyParser(calls=parser()), text, size)
    assert (seen[1], bare(seen[2])) == (content, calls)


def said(parser: ReplyParser, pieces: list[str]) -> object:
    """All that a parser makes of a reply in pieces."""
    try:
        deltas = [parser.feed(piece) for piece in pieces]
        last, late = parser.end()
    except GatewayError as error:
        return error.message
    seen = [delta for delta in [*deltas, last] if delta]
    calls = [call for delta in seen for call in delta.tool_calls] + list(late)
    return "".join(d.thinking for d in seen), "".join(d.content for d in seen), bare(calls)


SCRAPS = st.sampled_from(
    [
        *(
            "<think>",
            "</think>",
            "<tool_call>",
            "</tool_call>",
            "<call>",
            "[",
            "{",
            "}",
            '"',
            "\\",
            "<",
            "</t",
            " ",
            "\n",
            "x",
        ),
        *("add", "get_weather", "get_weather_now", "{{", '{"a": 1}', '{"name": "f"}'),
        '{"name": "add", "arguments": {"a": {"b": "}"}}}',
        '<tool_call>{"name": "f", "arguments": {}}</tool_call>',
    ]
)
PARSERS: list[Callable[[], ReplyParser]] = [
    lambda: ReplyParser(ThinkingSplitter(TAGS, inside=False), HermesCalls()),
    lambda: ReplyParser(ThinkingSplitter(TAGS, inside=True)),
    lambda: ReplyParser(ThinkingSplitter(Tags("aab", "aba"), inside=True)),
    *(lambda tag=tag: ReplyParser(calls=generic(tag)()) for tag in ("<call>", "{", "[", "aab")),
]


@given(st.sampled_from(PARSERS), st.lists(SCRAPS | st.text("ab ", max_size=4), max_size=12).map("".join), st.data())
def test_it_makes_no_difference_how_a_reply_is_cut(
    parser: Callable[[], ReplyParser], text: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = said(parser(), [text])
    assert said(parser(), pieces) == whole
    assert said(parser(), list(text)) == whole
