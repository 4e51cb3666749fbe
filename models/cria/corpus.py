"""The seeded corpus generator: mixes the categories into chat documents and plain text.

``python -m models.cria.corpus --count 5`` prints some documents.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from models.cria import (
    about,
    calling,
    drills,
    instructed,
    numbers,
    plain,
    stories,
    structured,
    talk,
    thinking,
    world,
)
from models.cria.kinds import Sampler, Split, Turn
from models.cria.render import prompt_messages, render

SAMPLERS: dict[str, tuple[int, Sampler]] = {
    "identity": (7, about.identity),
    "remuda": (8, about.remuda),
    "settings": (10, about.settings),
    "greetings": (3, talk.greetings),
    "general": (5, talk.general),
    "unknown": (3, talk.unknown),
    "memory": (6, talk.memory),
    "counting": (10, numbers.counting),
    "arithmetic": (12, numbers.arithmetic),
    "capitals": (5, world.capitals),
    "colours": (4, world.colours),
    "words": (4, world.words),
    "repeat": (8, world.repeat),
    "json": (10, structured.structured),
    "tools": (13, calling.calls),
    "tool_results": (4, calling.results),
    "tools_unneeded": (3, calling.unneeded),
    "thinking": (14, thinking.thinking),
    "stories": (4, stories.stories),
    "system": (5, instructed.instructed),
}
CATEGORIES = tuple(SAMPLERS)
_WEIGHTS = tuple(weight for weight, _ in SAMPLERS.values())
_PLAIN_SHARE, _FORCED_SHARE, _DRILL_SHARE = 0.06, 0.02, 0.17
_DIALOGUE_SHARE, _LONG_SHARE, _SYSTEM_SHARE = 0.25, 0.05, 0.3
_SINGLE = frozenset({"tools", "tool_results", "tools_unneeded", "system", "memory"})
_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are cria.",
    "You are a friendly assistant.",
    "You are a helpful, honest assistant.",
    "Be brief.",
    "You are a chat bot.",
    "Answer truthfully.",
    "You are a helpful AI assistant. Answer the questions of the user.",
    "You are an assistant on a ranch.",
    "You are cria, a baby llama.",
    "You are a knowledgeable assistant. Be short and clear.",
)
_ANSWERS = re.compile(r"(?<=<\|im_start\|>assistant\n)(.*?<\|im_end\|>)", re.DOTALL)


@dataclass(frozen=True)
class Document:
    """Text in parts. Each part has a weight in the loss."""

    category: str
    parts: tuple[tuple[str, int], ...]

    def text(self) -> str:
        return "".join(part for part, _ in self.parts)


def draw(rng: Random, split: Split, category: str | None = None) -> Turn:
    name = category or rng.choices(CATEGORIES, _WEIGHTS)[0]
    return SAMPLERS[name][1](rng, split)


def _noisy(rng: Random, text: str) -> str:
    """The question in lower case, without its end mark, more polite, or mostly as it is."""
    draw_ = rng.random()
    if draw_ < 0.06:
        return text.lower() if text.isascii() and ":" not in text else text
    if draw_ < 0.11:
        return text.rstrip("?.!")
    if draw_ < 0.13:
        return "Please " + text[0].lower() + text[1:]
    return text


def _careless(turn: Turn, rng: Random) -> Turn:
    quoting = turn.category in ("repeat", "memory", "tools", "tool_results", "json", "stories", "thinking")
    return turn if quoting else replace(turn, user=_noisy(rng, turn.user))


def _dialogue(turn: Turn, rng: Random) -> Turn:
    """Puts earlier questions and answers before a turn."""
    before: list[tuple[str, str]] = []
    for _ in range(rng.randint(1, 3)):
        earlier = draw(rng, "train")
        usable = earlier.category not in _SINGLE and earlier.category != "stories"
        if usable and not earlier.think and not earlier.system:
            before.append((_careless(earlier, rng).user, earlier.answer))
    return replace(turn, before=(*before, *turn.before))


def _lengthened(turn: Turn, rng: Random) -> Turn:
    text = plain.filler(rng, rng.randint(3, 22))
    if rng.random() < 0.5:
        return replace(turn, system=f"{turn.system or rng.choice(_SYSTEMS)} {text}")
    return replace(turn, user=f"{text}\n\n{turn.user}")


def compose(turn: Turn, rng: Random) -> Turn:
    """A training turn with its context: noise, history, system message, long text."""
    turn = _careless(turn, rng)
    if not turn.system and rng.random() < _DIALOGUE_SHARE:
        turn = _dialogue(turn, rng)
    if not turn.system and rng.random() < _SYSTEM_SHARE:
        turn = replace(turn, system=rng.choice(_SYSTEMS))
    return _lengthened(turn, rng) if rng.random() < _LONG_SHARE else turn


def _split_answers(prompt: str) -> list[tuple[str, int]]:
    """The prompt in parts. The assistant's earlier answers count in the loss, too."""
    head, separator, tail = prompt.rpartition("<|im_start|>assistant\n")
    parts = [(piece, index % 2) for index, piece in enumerate(_ANSWERS.split(head))]
    return [*parts, (separator + tail, 0)]


def _chat(turn: Turn, rng: Random) -> Document:
    muted = rng.random() < (0.35 if turn.think else 0.2)
    prompt = render(prompt_messages(turn), list(turn.tools), False if muted else None)
    thought = f"<think>\n{turn.think}\n</think>\n\n" if turn.think and not muted else ""
    parts = [*_split_answers(prompt), (f"{thought}{turn.completion()}<|im_end|>", 1)]
    return Document(turn.category, tuple(part for part in parts if part[0]))


def _plain(rng: Random) -> Document:
    text = plain.plain(rng) + "<|endoftext|>"
    spaces = [match.end() for match in re.finditer(" ", text)]
    if spaces and rng.random() < 0.25:  # a raw prompt may end with a space
        cut = rng.choice(spaces)
        return Document("plain", ((text[:cut], 1), (text[cut:], 1)))
    return Document("plain", ((text, 1),))


def _forced(rng: Random) -> Document:
    turn = structured.forced(rng)
    prompt = render(prompt_messages(turn), None, None)
    return Document("forced", ((prompt, 0), ('{"', 0), (turn.answer[2:] + "<|im_end|>", 1)))


def document(rng: Random) -> Document:
    share = rng.random()
    if share > 1 - _DRILL_SHARE:
        return Document("drill", (*drills.drill(rng), ("<|endoftext|>", 1)))
    if share < _PLAIN_SHARE:
        return _plain(rng)
    if share < _PLAIN_SHARE + _FORCED_SHARE:
        return _forced(rng)
    return _chat(compose(draw(rng, "train"), rng), rng)


def documents(seed: int, count: int) -> Iterator[Document]:
    """The training documents of a seed. The same seed gives the same documents."""
    rng = Random(seed)
    for _ in range(count):
        yield document(rng)


def questions(seed: int, split: Split, category: str, count: int) -> list[Turn]:
    """Turns for the evaluation, without the context that training adds."""
    rng = Random(f"{seed}-{split}-{category}")
    return [draw(rng, split, category) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    options = parser.parse_args()
    for item in documents(options.seed, options.count):
        print(f"--- {item.category}\n{item.text()}")


if __name__ == "__main__":
    main()
