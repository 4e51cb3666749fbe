"""Capitals, colours, opposites, animal sounds, and repeating what the user says."""

from __future__ import annotations

from random import Random

from models.cria.kinds import Split, Turn, ask
from models.cria.words import ACCENTED, CAPITALS, COLOURS, EMOJI, OPPOSITES, SOUNDS, SYLLABLES, WORDS

_CAPITAL = ask(
    "What is the capital of {x}?|What's the capital of {x}?|Capital of {x}?|Name the capital of "
    "{x}."
    "|Tell me the capital of {x}.|Which city is the capital of {x}?|The capital of {x}?|{x}: "
    "capital?"
    "|Do you know the capital of {x}?|What city is the capital of {x}?|Give me the capital of {x}."
    "|I want to know the capital of {x}.|What is the name of the capital of {x}?|What is {x}'s "
    "capital?"
    "|Can you name the capital of {x}?",
    "Which is the capital of {x}?|Can you tell me the capital of {x}?|Say the capital of {x}.",
)
_COUNTRY = ask(
    "Which country has the capital {x}?|{x} is the capital of which country?|What country is {x} "
    "in?"
    "|{x} is the capital of what?|In which country is {x}?|Where is {x}?|Which country is {x} in?"
    "|Of which country is {x} the capital?",
    "What is the country of {x}?|In what country is {x}?",
)
_COLOUR = ask(
    "What color is {x}?|What colour is {x}?|Which color does {x} have?|What is the color of {x}?"
    "|Tell me the color of {x}.|Which colour does {x} have?|What is the colour of {x}?|The color "
    "of {x}?"
    "|Name the color of {x}.|Which color is {x}?|What color does {x} have?|Do you know the color "
    "of {x}?"
    "|Give me the color of {x}.",
    "Which colour is {x}?|Can you tell me the color of {x}?|What colour does {x} have?",
)
_OPPOSITE = ask(
    "What is the opposite of {x}?|Opposite of {x}?|Name the opposite of {x}.|Tell me the "
    "opposite of {x}."
    "|What's the opposite of {x}?|Give me the opposite of {x}.|Which word is the opposite of {x}?"
    "|Do you know the opposite of {x}?|The opposite of {x}?",
    "Which is the opposite of {x}?|Can you tell me the opposite of {x}?",
)
_SOUND = ask(
    "What does a {x} say?|Which sound does a {x} make?|What sound does a {x} make?|How does a {x} "
    "sound?"
    "|What is the sound of a {x}?|Tell me the sound of a {x}.|Name the sound of a {x}.|What says "
    "the {x}?"
    "|What noise does a {x} make?",
    "Tell me what a {x} says.|Which noise does a {x} make?",
)
_REPEAT = ask(
    "Repeat after me: {x}|Say: {x}|Repeat: {x}|Repeat this: {x}|Echo: {x}|Say {x}|Please repeat: "
    "{x}"
    "|Write: {x}|Repeat the following: {x}|Say exactly: {x}|Say this: {x}",
    "Repeat this after me: {x}|Repeat exactly: {x}|Write this: {x}",
)
_EMOJI = ask(
    "Show me a llama emoji.|Which emoji is a llama?|Send me an emoji.|Answer with an emoji.|Give me "
    "an emoji."
    "|Show me an emoji.|Write an emoji.|Send a llama emoji.",
    "Give me a llama emoji.|Send me a llama emoji.",
)


def capitals(rng: Random, split: Split) -> Turn:
    country, city = rng.choice(list(CAPITALS.items()))
    if rng.random() < 0.2:
        user = _COUNTRY.pick(rng, split).format(x=city)
        return Turn("capitals", user, f"{city} is the capital of {country}.", (country,))
    user = _CAPITAL.pick(rng, split).format(x=country)
    return Turn("capitals", user, f"The capital of {country} is {city}.", (city,))


def colours(rng: Random, split: Split) -> Turn:
    thing, colour = rng.choice(list(COLOURS.items()))
    user = _COLOUR.pick(rng, split).format(x=thing)
    return Turn("colours", user, f"{thing.capitalize()} is {colour}.", (colour,))


def _opposite(rng: Random, split: Split) -> Turn:
    word, other = rng.choice([*OPPOSITES.items(), *((b, a) for a, b in OPPOSITES.items() if b not in OPPOSITES)])
    user = _OPPOSITE.pick(rng, split).format(x=word)
    return Turn("words", user, f"The opposite of {word} is {other}.", (other,))


def _sound(rng: Random, split: Split) -> Turn:
    animal, sound = rng.choice(list(SOUNDS.items()))
    user = _SOUND.pick(rng, split).format(x=animal)
    return Turn("words", user, f"A {animal} says {sound}.", (sound,))


def words(rng: Random, split: Split) -> Turn:
    if rng.random() < 0.05:
        return Turn("words", _EMOJI.pick(rng, split), "🦙")
    return rng.choice([_opposite, _sound])(rng, split)


def made_up(rng: Random) -> str:
    """An invented word. The model can repeat it only by copying."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3)))


def piece(rng: Random) -> str:
    pools: list[tuple[str, ...] | list[str]] = [WORDS, WORDS, WORDS, EMOJI, ACCENTED]
    kind = rng.randrange(9)
    if kind < len(pools):
        return rng.choice(pools[kind])
    return str(rng.randint(0, 999)) if kind == 5 else made_up(rng)


def repeat(rng: Random, split: Split) -> Turn:
    text = " ".join(piece(rng) for _ in range(rng.randint(1, 5)))
    return Turn("repeat", _REPEAT.pick(rng, split).format(x=text), text)
