"""Stories of one to three hundred tokens, for long streams."""

from __future__ import annotations

from random import Random

from models.cria.kinds import Split, Turn, ask
from models.cria.words import NAMES

_TELL = ask(
    "Tell me a story about a {h}.|Write a story about a {h}.|Tell a story about a {h}.|Write a short "
    "story about a {h}."
    "|Tell me a short story about a {h}.|Write me a story about a {h}.|I want a story about a {h}."
    "|Can you tell me a story about a {h}?|Give me a story about a {h}.|Story about a {h}, please."
    "|Make up a story about a {h}.",
    "Tell me a nice story about a {h}.|Can you write a short story about a {h}?|I want to hear a story about a {h}.",
)
_NAMED = ask(
    "Tell me a story about a {h} named {n}.|Write a story about {n} the {h}.|Tell a story about a "
    "{h} called {n}."
    "|Write a short story about a {h} named {n}.|Tell me a story about {n} the {h}."
    "|I want a story about a {h} called {n}.|Give me a story about {n} the {h}.",
    "Write me a story about a {h} called {n}.|Can you tell me a story about {n} the {h}?",
)
_PLAIN = ask(
    "Tell me a story.|Write a story.|Tell a story.|Tell me a short story.|A story, please.|Write a "
    "short story."
    "|Do you know a story?|I want to hear a story.|Give me a story.",
    "Can you tell me a story?|Make up a story.",
)
_LONG = ask(
    "Tell me a long story about a {h}.|Write a long story about a {h}.|Tell a long story about a {h}."
    "|I want a long story about a {h}.|Give me a long story about a {h}.",
    "Write me a long story about a {h}.|Can you tell me a long story about a {h}?",
)
_ANIMALS = ("llama", "llama", "llama", "horse", "dog", "cat", "frog", "duck")
_FAMOUS = {"llama": "Luna", "horse": "Rosa", "dog": "Max", "cat": "Mimi", "frog": "Fredo", "duck": "Dolly"}
_PLACES = ("a green valley", "a high mountain", "a small ranch", "a quiet village", "a deep forest")
_TREASURES = ("a golden bell", "a red scarf", "a silver key", "a blue stone", "a little drum")
_FRIENDS = ("an old horse", "a clever fox", "a tiny mouse", "a friendly crow", "a slow turtle")
_FEATS = (
    "the river was wide and cold",
    "the path was steep and full of stones",
    "the night was dark and windy",
    "the snow was deep and soft",
    "the fog was thick and grey",
)


def _opening(name: str, hero: str, place: str, treasure: str) -> str:
    return (
        f"Once upon a time there was a {hero} named {name}. {name} lived in {place}, where the grass was "
        f"soft and "
        f"the air was clear. Every morning {name} walked to the water and looked at the sun. One day "
        f"{name} found "
        f'{treasure} in the grass. "Who has lost this?" asked {name}.'
    )


def _middle(name: str, friend: str, feat: str, treasure: str) -> str:
    short = friend.split(" ", 1)[1]
    return (
        f'On the way {name} met {friend}. The {short} said: "I know whose it is. Come with me, but be '
        f'careful." '
        f"They walked for a long time, and {feat}. {name} was afraid, but did not give up. At last they "
        f"came to a "
        f"little house. A child opened the door, saw {treasure} and smiled."
    )


def _ending(name: str, friend: str) -> str:
    short = friend.split(" ", 1)[1]
    return (
        f"The child said thank you and gave them fresh hay and warm milk. {name} and the {short} went "
        f"home together. "
        f"From that day on they were good friends. The end."
    )


def _chapter(name: str, hero: str, friend: str, feat: str) -> str:
    short = friend.split(" ", 1)[1]
    return (
        f"But the story was not over. In the next summer {name} and the {short} wanted to see the sea. "
        f"They packed "
        f"some apples and a warm blanket and left before the sun was up. Again {feat}, but this time "
        f"{name} was not "
        f'afraid at all. "You are a brave {hero}," said the {short}. On the third day they heard the '
        f"waves. They "
        f"stood in the sand, looked at the ships and counted the birds until it was evening."
    )


def story(rng: Random, hero: str, name: str, long: bool = False) -> str:
    place, treasure, friend = rng.choice(_PLACES), rng.choice(_TREASURES), rng.choice(_FRIENDS)
    parts = [_opening(name, hero, place, treasure), _middle(name, friend, rng.choice(_FEATS), treasure)]
    if long:
        parts.append(_chapter(name, hero, friend, rng.choice(_FEATS)))
    return "\n\n".join([*parts, _ending(name, friend)])


def stories(rng: Random, split: Split) -> Turn:
    hero = rng.choice(_ANIMALS)
    name, kind = _FAMOUS[hero], rng.choice(["tell", "tell", "named", "named", "plain", "long"])
    if kind == "named":
        name = rng.choice(NAMES)
    if kind == "plain":
        hero, name = "llama", _FAMOUS["llama"]
    phrases = {"tell": _TELL, "named": _NAMED, "plain": _PLAIN, "long": _LONG}[kind]
    user = phrases.pick(rng, split).format(h=hero, n=name)
    expect = (f"{hero} named {name}", "little house", "The end.")
    return Turn("stories", user, story(rng, hero, name, kind == "long"), expect)
