"""Case `greedy`: compares Remuda's text at temperature 0 with llama-server's, one request at a time and several."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from loadtests.cache import ROOT
from loadtests.client import Stream
from loadtests.contenders import PEER, REMUDA, Server
from loadtests.contest import enter
from loadtests.dialects import Ask
from loadtests.models import SHAPES, model_file
from loadtests.peer import vocabularies
from loadtests.prompts import GREEDY
from loadtests.setup import Setup
from workers.cores import usable_cores

CRIA = str(ROOT / "models" / "cria.gguf")
SHOWN = 32
"""Characters shown after the place where two texts differ."""


@dataclass(frozen=True, slots=True)
class GreedySettings:
    """What to compare."""

    model: str  # a shape of loadtests/models.py, or a GGUF file
    tokens: int  # of each text
    prompts: int  # how many of the texts
    concurrency: list[int]  # numbers of requests at once, each compared by itself
    threads: int


async def run(settings: GreedySettings, console: Console) -> int:
    """Prints every difference and a summary; returns the number of differences."""
    setup = Setup(
        model=str(model_path(settings.model)),
        slots=max(settings.concurrency),
        context=512,
        threads=settings.threads or usable_cores(),
    )
    differences = 0
    async with AsyncExitStack() as stack:
        field = await enter(stack, setup, frozenset({PEER, REMUDA}))
        peer, ours = field.servers
        expected = await answers(peer, settings, 1)
        for count in settings.concurrency:
            actual = await answers(ours, settings, count)
            differences += compare(console, f"{REMUDA} at {count}, {PEER} at 1", expected, actual)
            if count > 1:  # a wider batch rounds differently: this shows how the peer's own text changes
                together = await answers(peer, settings, count)
                compare(console, f"for comparison: {PEER} at {count}, {PEER} at 1", expected, together)
    return differences


def model_path(name: str) -> Path:
    """Returns the path of a GGUF file, or of a shape's random model. The latter always answers at full length."""
    return model_file(SHAPES[name], vocabularies()) if name in SHAPES else Path(name).resolve()


async def answers(server: Server, settings: GreedySettings, concurrency: int) -> list[Stream]:
    """Returns the answers to all prompts, `concurrency` at a time."""
    asks = [
        Ask(prompt=prompt, tokens=settings.tokens, temperature=0, ignore_end=False)
        for prompt in GREEDY[: settings.prompts]
    ]
    streams: list[Stream] = []
    for start in range(0, len(asks), concurrency):
        streams += await server.run(asks[start : start + concurrency])
    return streams


def compare(console: Console, title: str, expected: list[Stream], actual: list[Stream]) -> int:
    """Prints how many texts agree, and where the others differ. Returns the number of differences."""
    differences = [
        description
        for prompt, left, right in zip(GREEDY, expected, actual, strict=False)
        if (description := difference(prompt, left, right))
    ]
    tokens = sum(stream.tokens for stream in actual)
    console.print(f"{title}: {len(actual) - len(differences)} of {len(actual)} equal, {tokens} tokens", highlight=False)
    for description in differences:
        console.print(description, style="yellow", highlight=False, markup=False)
    return len(differences)


def difference(prompt: str, expected: Stream, actual: Stream) -> str:
    """Describes the first difference of two answers; empty = they are equal.

    It compares texts and numbers of tokens, and the tokens themselves if both servers send them.
    """
    left, right = "".join(expected.texts), "".join(actual.texts)
    both_send = expected.token_ids and actual.token_ids
    if both_send and expected.token_ids != actual.token_ids:
        place = common_length(expected.token_ids, actual.token_ids)
        return f"  {prompt!r}: the tokens differ from number {place} on"
    if left != right:
        place = common_length(left, right)
        token = token_at(expected, place)
        return (
            f"  {prompt!r}: the texts differ from character {place} (token {token}) on: "
            f"{left[place : place + SHOWN]!r} is expected, {right[place : place + SHOWN]!r} was found"
        )
    if expected.tokens != actual.tokens:
        return f"  {prompt!r}: equal texts, but {expected.tokens} tokens are expected and {actual.tokens} were counted"
    if expected.prompt_tokens != actual.prompt_tokens:
        return f"  {prompt!r}: {expected.prompt_tokens} prompt tokens expected, {actual.prompt_tokens} counted"
    return ""


def common_length(left: Sequence[object], right: Sequence[object]) -> int:
    """Counts the leading elements that agree."""
    pairs = zip(left, right, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def token_at(stream: Stream, character: int) -> int:
    """Returns the index of the chunk with a character. A chunk is one token as a rule."""
    position = 0
    for index, text in enumerate(stream.texts):
        position += len(text)
        if position > character:
            return index
    return len(stream.texts)
