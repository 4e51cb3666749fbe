"""Renders Go templates without `.Messages`: once for each turn of system, prompt and response."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.generation.request import Message
from gateway.prompt.conversation import merged, think_variables
from gateway.prompt.templates.go_syntax import GoSyntax
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.renderer import TemplateRenderer, Variables


@dataclass(slots=True)
class Turn:
    """What one execution of the template shows."""

    system: str = ""
    prompt: str = ""
    response: str = ""

    def variables(self, think: bool | str | None) -> Variables:
        named = {"System": self.system, "Prompt": self.prompt, "Response": self.response}
        return lambda: {**named, **think_variables(think)}


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """The conversation as turns. System text belongs to the turn that it precedes."""
    turns = [Turn()]
    for message in merged(messages):
        turn = turns[-1]
        is_over = (turn.prompt or turn.response) if message.role == "system" else turn.response
        if is_over and message.role in ("system", "user"):
            turns.append(Turn())
        match message.role:
            case "system":
                turns[-1].system = message.content
            case "user":
                turns[-1].prompt = message.content
            case "assistant":
                turns[-1].response = message.content
            case _:
                pass
    return turns


async def render_legacy(
    renderer: TemplateRenderer, syntax: GoSyntax, messages: Sequence[Message], think: bool | str | None
) -> str:
    """The prompt: all turns, the last one only up to where its reply begins."""
    *earlier, last = turns_of(messages)
    texts = [await renderer.render(Language.GO, syntax.source, turn.variables(think)) for turn in earlier]
    begun = await renderer.render(Language.GO, syntax.before_response(), last.variables(think))
    return "".join(texts) + begun + last.response
