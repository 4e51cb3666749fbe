"""Reading a reply is work of its length, whatever the model writes, the template shows and the tools are called."""

from collections.abc import Callable

import pytest
from support.work import work_of

from gateway.errors import GatewayError
from gateway.formats.go_template import GoTemplateCalls
from gateway.formats.hermes import HermesCalls
from gateway.formats.reply_parser import ReplyParser
from gateway.formats.thinking_splitter import ThinkingSplitter
from gateway.generation.request import ToolCall
from gateway.prompt.templates.go_syntax import Tags

SIZE = 2000
LONG = "a" * (2 * SIZE) + "b"
"""A tag that a request's own template may show, or the name of one of its tools."""

Make = Callable[[], ReplyParser]


def hermes() -> ReplyParser:
    return ReplyParser(calls=HermesCalls())


def thinking(tags: Tags, *, inside: bool = True) -> Make:
    return lambda: ReplyParser(ThinkingSplitter(tags, inside=inside))


def go(tag: str, *names: str) -> Make:
    return lambda: ReplyParser(calls=GoTemplateCalls(tag, names or ("add",)))


THINK = Tags("<think>", "</think>")


@pytest.mark.parametrize(
    ("parser", "before", "repeated"),
    [
        (hermes, "<tool_call>", "x"),
        (hermes, "", " "),
        (hermes, "", "<tool_call"),
        (hermes, "", '<tool_call>{"name": "add"}</tool_call>'),
        (thinking(THINK, inside=False), "", "\n"),
        (thinking(THINK), "x", "\n"),
        (thinking(THINK), "x", "</think"),
        (thinking(Tags(LONG, LONG), inside=False), "", "a"),
        (thinking(Tags(LONG, LONG)), "", "a"),
        (go(LONG), "", "a"),
        (go("{"), "", " "),
        (go("<t>"), "<t>", "x"),
        (go("<t>"), "<t>", "{"),
        (go("<t>"), "<t>add", "{"),
        (go("<t>"), "<t>add", '{"a":'),
        (go("<t>"), '<t>add{"a":"', "x"),
        (go("<t>"), "<t>", "{} "),
        (go("<t>"), "<t>", "add "),
        (go("<t>"), "<t>", "{}add "),
        (go("<t>", "a", LONG), "<t>{}", "a"),
        (go("<t>", "{}", "{}" * SIZE + "x"), "<t>", "{}"),
    ],
)
def test_work_grows_with_the_length_of_a_reply(parser: Make, before: str, repeated: str) -> None:
    def work(size: int) -> int:
        text = before + repeated * (size // len(repeated))
        reader = parser()
        return work_of(lambda: [reader.feed(character) for character in text])

    assert work(2 * SIZE) < 3 * work(SIZE)


def test_work_on_a_reply_does_not_grow_with_the_number_of_tools() -> None:
    def work(tools: int) -> int:
        names = [f"tool_{number:06}" for number in range(tools)]
        reader = go("<t>", *names)()
        reader.feed("<t>tool_x tool_0x")
        return work_of(lambda: [reader.feed("tool_x ") for _ in range(SIZE)])

    assert work(1000) < 2 * work(1)


DEEP = 100_000
BEYOND_A_REPLY = [
    '{"a":' * 250 + "1" + "}" * 250,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    '{"a":' + "[" * 250 + "]" * 250 + "}",
    '{"a":' + "[" * DEEP + "]" * DEEP + "}",
    '{"a":' + "9" * 5000 + "}",
    '{"a":"\\ud800"}',
    '{"a":NaN}',
]
"""Arguments that Python decodes or fails at in ways of its own, and that no reply can hold."""


@pytest.mark.parametrize("arguments", BEYOND_A_REPLY)
def test_arguments_that_no_reply_can_hold_are_no_call(arguments: str) -> None:
    calls: list[ToolCall] = []
    reader = go("<t>")()
    for call in (f'{{"name":"add","arguments":{arguments}}}', '{"name":"add","arguments":{"b":1}}'):
        delta = reader.feed(f"<t>{call}")
        calls += delta.tool_calls if delta else ()
    assert [dict(call.arguments) for call in calls] == [{"b": 1}]


@pytest.mark.parametrize("arguments", BEYOND_A_REPLY)
def test_arguments_between_tags_that_no_reply_can_hold_are_an_error(arguments: str) -> None:
    with pytest.raises(GatewayError, match='invalid tool call arguments for "add"'):
        hermes().feed(f'<tool_call>{{"name":"add","arguments":{arguments}}}</tool_call>')
