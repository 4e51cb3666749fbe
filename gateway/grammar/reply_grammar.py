"""The grammar of a whole reply: free thoughts, then tool calls or an answer that follows the client's rules."""

from dataclasses import dataclass

from gateway.formats.thoughts import Thoughts
from gateway.generation.request import Kind
from gateway.grammar.lark import SPACE, LarkWriter
from gateway.grammar.rules import Rules, grammar_text
from gateway.prompt.builder import Prompt, ResolvedRequest


@dataclass(frozen=True, slots=True)
class ReplyGrammar:
    """What the worker holds a reply to."""

    text: str
    optional_first_token: int | None = None
    """The token that opens optional thoughts. The worker allows it only where the model itself prefers it as the first
    token. A model whose preferred answer the rules forbid would otherwise be driven into thoughts."""


UNCONSTRAINED = ReplyGrammar("")


def reply_grammar(answer: Rules, resolved: ResolvedRequest, prompt: Prompt) -> ReplyGrammar:
    """The grammar of a reply whose answer follows the rules `answer`. A reply of `/api/generate` is all answer, as in
    Ollama."""
    generation = resolved.generation
    thoughts = None if generation.kind is Kind.GENERATE else _possible_thoughts(resolved, prompt)
    if not thoughts and not generation.tools:
        return ReplyGrammar(grammar_text(answer))
    lark = LarkWriter(prompt.vocabulary.tokenizer)
    start = lark.embed("answer", answer)
    if generation.tools:
        start = f"({start} | {resolved.format.call_grammar(lark, generation.tools)})"
    if not thoughts:
        return ReplyGrammar(lark.grammar(start))
    grammar = lark.grammar(f"{_thoughts(lark, thoughts)} {start}")
    opening = None if thoughts.inside else prompt.vocabulary.tokenizer.special_token(thoughts.tags.opening)
    return ReplyGrammar(grammar, opening)


def _possible_thoughts(resolved: ResolvedRequest, prompt: Prompt) -> Thoughts | None:
    """A model that is told not to think has no thoughts, unless its template began them."""
    thoughts = resolved.format.thoughts(resolved.generation, resolved.think, prompt.text)
    return thoughts if thoughts and (thoughts.inside or resolved.think) else None


def _thoughts(lark: LarkWriter, thoughts: Thoughts) -> str:
    through = f"{lark.through(thoughts.tags.closing)} {SPACE}"
    return through if thoughts.inside else f"({lark.tag(thoughts.tags.opening)} {through})?"
