"""Case `greedy`: at temperature 0 Remuda says what llama-server says, alone and in company."""

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
"""Characters of a text shown around the place where two differ."""


@dataclass(frozen=True, slots=True)
class GreedySettings:
    """What is compared, on a shape of loadtests/models.py or a GGUF file: the first `prompts` of the texts, `tokens`
    each, at each number of requests at once."""

    model: str
    tokens: int
    prompts: int
    concurrency: list[int]
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
            found = await answers(ours, settings, count)
            differences += compare(console, f"{REMUDA} at {count}, {PEER} at 1", expected, found)
            if count > 1:  # the batch's width changes the engine's rounding: what the peer itself makes of it
                company = await answers(peer, settings, count)
                compare(console, f"for comparison: {PEER} at {count}, {PEER} at 1", expected, company)
    return differences


def model_path(name: str) -> Path:
    """A shape's random model never ends by itself, so that all its answers have their full length."""
    return model_file(SHAPES[name], vocabularies()) if name in SHAPES else Path(name).resolve()


async def answers(server: Server, settings: GreedySettings, concurrency: int) -> list[Stream]:
    """The answers to all prompts, so many at a time."""
    asks = [
        Ask(prompt=prompt, tokens=settings.tokens, temperature=0, ignore_end=False)
        for prompt in GREEDY[: settings.prompts]
    ]
    streams: list[Stream] = []
    for start in range(0, len(asks), concurrency):
        streams += await server.run(asks[start : start + concurrency])
    return streams


def compare(console: Console, title: str, expected: list[Stream], found: list[Stream]) -> int:
    """Prints how many texts agree, and where the others part. Returns the number of differences."""
    parted = [
        description
        for prompt, left, right in zip(GREEDY, expected, found, strict=False)
        if (description := difference(prompt, left, right))
    ]
    tokens = sum(stream.tokens for stream in found)
    console.print(f"{title}: {len(found) - len(parted)} of {len(found)} equal, {tokens} tokens", highlight=False)
    for description in parted:
        console.print(description, style="yellow", highlight=False, markup=False)
    return len(parted)


def difference(prompt: str, expected: Stream, found: Stream) -> str:
    """Where two answers part, "" when they are equal: their texts, numbers of tokens and, where both servers tell
    them, the tokens themselves."""
    left, right = "".join(expected.texts), "".join(found.texts)
    both_tell = expected.token_ids and found.token_ids
    if both_tell and expected.token_ids != found.token_ids:
        place = common_length(expected.token_ids, found.token_ids)
        return f"  {prompt!r}: the tokens differ from number {place} on"
    if left != right:
        place = common_length(left, right)
        token = token_at(expected, place)
        return (
            f"  {prompt!r}: the texts differ from character {place} (token {token}) on: "
            f"{left[place : place + SHOWN]!r} is expected, {right[place : place + SHOWN]!r} was found"
        )
    if expected.tokens != found.tokens:
        return f"  {prompt!r}: equal texts, but {expected.tokens} tokens are expected and {found.tokens} were counted"
    if expected.prompt_tokens != found.prompt_tokens:
        return f"  {prompt!r}: {expected.prompt_tokens} prompt tokens expected, {found.prompt_tokens} counted"
    return ""


def common_length(left: Sequence[object], right: Sequence[object]) -> int:
    """How many leading elements agree."""
    pairs = zip(left, right, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def token_at(stream: Stream, character: int) -> int:
    """The index of the chunk, one for each token as a rule, that holds a character."""
    position = 0
    for index, text in enumerate(stream.texts):
        position += len(text)
        if position > character:
            return index
    return len(stream.texts)
