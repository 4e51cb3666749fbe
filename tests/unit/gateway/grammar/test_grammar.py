"""Which replies a grammar allows, for the tokens of a real model."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from support.gateway_world import BUNDLE, CHAT_TEMPLATE, CRIA

from gateway.errors import ErrorKind, GatewayError
from gateway.formats.go_template import GoTemplateFormat
from gateway.formats.hermes import HermesFormat
from gateway.generation.options import ContextBounds, resolve_options
from gateway.generation.request import Generation, Kind
from gateway.grammar.answer import AnswerGrammars
from gateway.grammar.reply_grammar import reply_grammar
from gateway.prompt.builder import Prompt, ResolvedRequest
from gateway.prompt.vocabulary.vocabulary import Vocabulary, Workshop
from remuda.settings import Settings
from remuda.v1 import store_pb2
from workers.engine.grammar import GrammarError, Grammars
from workers.engine.model import Model, ModelOptions

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
ANSWER = '{"city": "Paris"}'
CALL = '{"name": "f", "arguments": {"x": [1, "y"]}}'
TOOLS = ({"type": "function", "function": {"name": "f"}},)
CHAT = Generation(Kind.CHAT, "cria", format=SCHEMA)
JINJA = HermesFormat(CHAT_TEMPLATE)
MESSAGES = "{{ range .Messages }}{{ if .Thinking }}[T]{{ .Thinking }}[/T]{{ end }}{{ .Content }}"
"""A Go template whose thinking tags are no tokens of the vocabulary."""


def go_format(calls: str) -> GoTemplateFormat:
    return GoTemplateFormat(MESSAGES + "{{ if .ToolCalls }}" + calls + "{{ end }}{{ end }}")


class Judge:
    """Tells what a worker would let the embedded model write."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary(BUNDLE, store_pb2.Vocabulary(), Workshop.of(Settings()))
        self.tokenizer = self.vocabulary.tokenizer
        self._model = Model(ModelOptions(str(CRIA)), lambda fraction: None)
        self.answers = AnswerGrammars(Settings())
        self._grammars = Grammars(self._model.vocabulary)

    def allows(self, grammar: str, reply: str) -> bool:
        """Whether a reply may begin like this."""
        constraint = self._grammars.compile(grammar).result()
        try:
            for token in self.tokenizer.tokenize(reply):
                constraint.accept(token)
        except GrammarError:
            return False
        return True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge() -> AsyncGenerator[Judge]:
    judge = Judge()
    yield judge
    await judge.answers.close()


@pytest.fixture
def grammars(judge: Judge) -> AnswerGrammars:
    return judge.answers


async def allowed(judge: Judge, generation: Generation, *replies: str, **resolved: Any) -> list[bool]:
    """Which of these beginnings of a reply are allowed."""
    answer = await judge.answers.rules(generation)
    assert answer is not None
    prompt = Prompt(resolved.pop("prompt", "Hi"), [], judge.vocabulary)
    options = resolve_options({}, {}, ContextBounds(default=2048, trained=2048, minimum=4))
    whole = ResolvedRequest(generation, BUNDLE, options, resolved.pop("format", JINJA), resolved.pop("think", True))
    grammar = reply_grammar(answer, whole, prompt).text
    return [judge.allows(grammar, reply) for reply in replies]


async def test_thoughts_are_free_and_what_follows_is_not(judge: Judge) -> None:
    thoughts = "<think>\nA <tool_call> in a thought?</think>\n\n"
    replies = (ANSWER, thoughts + ANSWER, "<think></think>" + ANSWER, "Paris", thoughts + "Paris", "\n" + ANSWER)
    assert await allowed(judge, CHAT, *replies) == [True, True, True, False, False, False]


async def test_a_model_told_not_to_think_answers_from_its_first_token(judge: Judge) -> None:
    assert await allowed(judge, CHAT, ANSWER, "<think>", think=False) == [True, False]


async def test_generate_keeps_to_the_rules_from_its_first_token(judge: Judge) -> None:
    generate = Generation(Kind.GENERATE, "cria", prompt="Hi", format=SCHEMA)
    assert await allowed(judge, generate, ANSWER, "<think>") == [True, False]


async def test_thoughts_that_the_prompt_began_go_on(judge: Judge) -> None:
    replies = ("Hm.</think>" + ANSWER, "Hm.</think>Paris", "<think>Hm.</think>" + ANSWER)
    assert await allowed(judge, CHAT, *replies, prompt="user: Hi\n<think>\n", think=None) == [True, False, True]


async def test_tags_may_be_plain_text(judge: Judge) -> None:
    replies = ("[T]Hm, [/ or ]?[/T]\n" + ANSWER, ANSWER, "[T]Hm.[/T]Paris", "Hm")
    assert await allowed(judge, CHAT, *replies, format=go_format("[CALL]")) == [True, True, False, False]


async def test_a_call_stays_possible_beside_an_answer(judge: Judge) -> None:
    call = f"<tool_call>\n{CALL}\n</tool_call>"
    with_tools = replace(CHAT, tools=TOOLS)
    replies = (ANSWER, call, f"{call}\n{call}", f"<think>Hm.</think>{call}", "Sure. " + call)
    assert await allowed(judge, with_tools, *replies) == [True, True, True, True, False]
    assert await allowed(judge, CHAT, call) == [False]


@pytest.mark.parametrize(
    ("calls", "call"),
    [
        ("[CALL]{{ .ToolCalls }}", f"[CALL] [{CALL}]"),
        ('{"name": {{ .Name }}}', CALL),
        ('{"name": {{ .Name }}}', CALL.replace("arguments", "parameters")),
        ("[{{ .ToolCalls }}", f"[{CALL}, {CALL}]"),
    ],
)
async def test_a_go_template_tells_what_a_call_looks_like(judge: Judge, calls: str, call: str) -> None:
    with_tools = replace(CHAT, tools=TOOLS)
    assert await allowed(judge, with_tools, ANSWER, call, "Well", format=go_format(calls)) == [True, True, False]


async def test_json_is_written_on_one_line_whatever_the_schema_says(judge: Judge) -> None:
    loose = {**SCHEMA, "x-guidance": {"whitespace_flexible": True, "whitespace_pattern": r"\s*"}}
    generate = Generation(Kind.GENERATE, "cria", prompt="Hi", format=loose)
    assert await allowed(judge, generate, ANSWER, '{ "city', '{\n"city', '{"city":"') == [True, False, False, False]


async def test_json_is_an_object(judge: Judge) -> None:
    generate = Generation(Kind.GENERATE, "cria", prompt="Hi", format="json")
    assert await allowed(judge, generate, '{"a": [1, {}]}', "[1]", "1", " {") == [True, False, False, False]


async def test_gbnf_begins_at_its_root(judge: Judge) -> None:
    grammar = 'root ::= ("yes" | "no") rest\nrest ::= "."{1,2}'
    generate = Generation(Kind.GENERATE, "cria", prompt="Hi", grammar=grammar)
    assert await allowed(judge, generate, "yes.", "no..", "maybe", "yes!") == [True, True, False, False]


@pytest.mark.parametrize(
    ("grammar", "good", "bad"),
    [
        (r'"caf\u00e9"', "café", "cafe"),
        (r'"\xe9\u000a\U0001F600"', "é\n\U0001f600", "é\U0001f600"),
        (r'"\u0022\u005c\u0041"', '"\\A', '"A'),
        (r'"\\u0041"', r"\u0041", "A"),
        (r'"\[\]"', "[]", r"\["),
        ('"a\nb"', "a\nb", "ab"),
        (r"[\u00e0-\u00ff]", "é", "z"),
        (r"[^\u00e0-\u00ff]", "z", "é"),
        (r"[\U0001F600-\U0001F64F]", "\U0001f601", "a"),
        (r"[\u005d\u002d\u005e]{3}", "]-^", "a"),
        (r"[a\u002dz]", "-", "b"),
        ("[+--]", ",", "."),
        ("[a&&b]", "&", "c"),
        ("[a-c-]", "-", "d"),
        ('# "\n"a" # [', "a", "#"),
    ],
)
async def test_characters_of_gbnf_are_read_as_llama_cpp_reads_them(
    judge: Judge, grammar: str, good: str, bad: str
) -> None:
    generate = Generation(Kind.GENERATE, "cria", prompt="Hi", grammar=f"root ::= {grammar}")
    assert await allowed(judge, generate, good, bad) == [True, False]


@pytest.mark.parametrize(
    "names", [("start",), ("Root", "start"), ("foo-bar", "fooBar", "FOO_BAR"), ("1a", "é", "rule_0"), ("a", "A", "1")]
)
async def test_rules_of_gbnf_may_have_any_names(judge: Judge, names: tuple[str, ...]) -> None:
    rules = "\n".join(f'{name} ::= "{number}"{{1}}' for number, name in enumerate(names))
    generate = Generation(Kind.GENERATE, "cria", prompt="Hi", grammar=f"root ::= {' '.join(names)}\n{rules}")
    good = "".join(map(str, range(len(names))))
    assert await allowed(judge, generate, good, good[::-1] + "x") == [True, False]


@pytest.mark.parametrize("nothing", [None, ""])
async def test_no_format_is_no_rule(grammars: AnswerGrammars, nothing: Any) -> None:
    assert await grammars.rules(replace(CHAT, format=nothing)) is None


DEEP: dict[str, Any] = {"type": "string"}
for _ in range(2000):
    DEEP = {"type": "array", "items": DEEP}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        {"type": "string", "format": "path"},
        {"oneOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "integer"}]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "not": {"required": ["b"]}},
    ],
)
async def test_what_only_validates_is_passed_over(grammars: AnswerGrammars, schema: dict[str, Any]) -> None:
    assert await grammars.rules(replace(CHAT, format=schema))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "strnig"}, "Invalid type: strnig"),
        ({"type": 5}, "type must be a string or array of strings"),
        ({"$ref": "#/$defs/nobody"}, "Pointer '/$defs/nobody' does not exist"),
        ({"$ref": "http://127.0.0.1:1/schema"}, "Resource 'http://127.0.0.1:1/schema' is not present"),
        ({"$ref": "#"}, "nothing can match it"),
        ({"type": "string", "pattern": "("}, "regex parse error"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "Unsatisfiable schema"),
        ({"enum": ["x" * (1 << 17)]}, "it has more than 131072 bytes"),
    ],
)
async def test_a_schema_that_cannot_be_kept_to_is_refused_with_the_reason(
    grammars: AnswerGrammars, schema: Any, reason: str
) -> None:
    with pytest.raises(GatewayError) as raised:
        await grammars.rules(replace(CHAT, format=schema))
    assert raised.value.kind is ErrorKind.INVALID
    assert raised.value.message.startswith(f"invalid JSON schema in format: {reason}")


async def test_a_schema_may_not_be_too_deep(grammars: AnswerGrammars) -> None:
    for schema in (DEEP, DEEP["items"]):
        with pytest.raises(GatewayError, match=r"invalid JSON schema in format: .*(deep|recursion)"):
            await grammars.rules(replace(CHAT, format=schema))


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        ("hello", "Expected ::= at line 1"),
        ("root ::= nobody", "Rule 'nobody' not found"),
        ('x ::= "a"', "No 'root' rule found"),
        ("root ::= start", "Rule 'start' not found"),
        (r'root ::= "\ud800"', r"\ud800 is no character"),
        (r"root ::= [a-\U00110000]", r"\U00110000 is no character"),
        (r'root ::= "\q"', r"Invalid escape sequence \q at line 1"),
        ('root ::= "' + r"\"" * 10000, "Unexpected end of input"),
        ("root ::= root", "nothing can match it"),
        ("root ::= " + "(" * 5000 + '"a"' + ")" * 5000, "it is nested too deeply"),
        ('root ::= "' + "a" * (1 << 15) + '"', "it has more than 32768 bytes"),
    ],
)
async def test_a_grammar_that_is_none_is_refused_with_the_reason(
    grammars: AnswerGrammars, grammar: str, reason: str
) -> None:
    with pytest.raises(GatewayError) as raised:
        await grammars.rules(Generation(Kind.CHAT, "cria", grammar=grammar))
    assert raised.value.kind is ErrorKind.INVALID
    assert raised.value.message.startswith(f"invalid grammar: {reason}")


async def test_why_a_grammar_is_refused_is_told_without_lark(grammars: AnswerGrammars) -> None:
    with pytest.raises(GatewayError) as raised:
        await grammars.rules(Generation(Kind.CHAT, "cria", grammar='root ::= "a"{3,1}'))
    assert raised.value.message == "invalid grammar: range end must be >= start, got (3, 1)"
