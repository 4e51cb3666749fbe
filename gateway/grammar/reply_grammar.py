"""The grammar of a whole reply: thoughts as the model likes, then an answer by the client's rules, or tool calls."""

from dataclasses import dataclass

from gateway.formats.chat_format import Language
from gateway.formats.hermes import CLOSING, OPENING
from gateway.formats.reply import Thoughts, thoughts_of, tool_names
from gateway.generation.request import Kind
from gateway.grammar.answer import Rules, grammar_text, json_rules
from gateway.grammar.lark import LarkWriter
from gateway.prompt.builder import Prompt, ResolvedRequest

SPACE = r"/[ \n]{0,4}/"
"""What models write after a closing tag; the parsers drop it."""


@dataclass(frozen=True, slots=True)
class ReplyGrammar:
    """What the worker holds a reply to.

    `optional_first_token` opens thoughts where the model may think but need not. It is allowed only where the model
    begins with it unasked. Otherwise the grammar would drive a model into thoughts that wants to write what the rules
    forbid.
    """

    text: str
    optional_first_token: int | None = None


UNCONSTRAINED = ReplyGrammar("")


def reply_grammar(answer: Rules, resolved: ResolvedRequest, prompt: Prompt) -> ReplyGrammar:
    """`/api/generate` keeps to the rules from its first token, as in Ollama."""
    if resolved.generation.kind is Kind.GENERATE:
        return ReplyGrammar(grammar_text(answer))
    lark, found = LarkWriter(prompt.tokenizer), thoughts_of(resolved, prompt)
    thoughts = _thoughts(lark, found, may_think=bool(resolved.think)) if found else ""
    calls = _calls(lark, resolved) if resolved.generation.tools else ""
    if not thoughts and not calls:
        return ReplyGrammar(grammar_text(answer))
    start = f"{thoughts} (@answer | {calls})" if calls else f"{thoughts} @answer"
    named = [{"name": "answer", **answer}]
    if "@call" in calls:
        named.append({"name": "call", **_call_rules(resolved)})
    optional = found if thoughts and found and not found.inside else None
    optional_first_token = prompt.tokenizer.special_token(optional.tags.opening) if optional else None
    return ReplyGrammar(grammar_text({"lark_grammar": lark.grammar(start)}, *named), optional_first_token)


def _thoughts(lark: LarkWriter, thoughts: Thoughts, *, may_think: bool) -> str:
    """A model that was told not to think has no thoughts, unless its template began them."""
    if not thoughts.inside and not may_think:
        return ""
    through = f"{lark.through(thoughts.tags.closing)} {SPACE}"
    return through if thoughts.inside else f"({lark.tag(thoughts.tags.opening)} {through})?"


def _calls(lark: LarkWriter, resolved: ResolvedRequest) -> str:
    """One or more calls, in the form that the parser of this model's calls reads."""
    if resolved.format.language is Language.JINJA:
        return f"({lark.tag(OPENING)} {lark.through(CLOSING)} {SPACE})+"
    match resolved.format.syntax.tool_tag():
        case "{":
            return "@call"
        case "[":
            return '"[" @call (", " @call)* "]"'
        case tag:
            return f"{lark.tag(tag)} {lark.anything()}"


def _call_rules(resolved: ResolvedRequest) -> Rules:
    """A bare call: Go templates name the arguments one way or the other."""
    return json_rules({"anyOf": [_call_schema(resolved, key) for key in ("arguments", "parameters")]})


def _call_schema(resolved: ResolvedRequest, arguments: str) -> Rules:
    fields = {"name": {"enum": tool_names(resolved)}, arguments: {"type": "object"}}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
