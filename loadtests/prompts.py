"""Prompts: nonsense of common words, each a token in every vocabulary, and texts for `cria`."""

import random

TEXT = (
    "the of and to in is that for it was on are as with they be at one have this from by hot word but what some we can "
    "out other were all there when up use your how said an each she which do their time if will way about many then "
    "them write would like so these her long make thing see him two has look more day could go come did number sound "
    "no most people my over know water than call first who may down side been now find"
)
WORDS = tuple(TEXT.split())


def nonsense(source: random.Random, tokens: int) -> str:
    """Returns a text of about `tokens` tokens, the BOS token included."""
    return " ".join(source.choices(WORDS, k=max(tokens - 1, 1)))


def fresh_prompts(count: int, tokens: int, *key: object) -> list[str]:
    """Returns `count` different prompts. Equal keys give equal prompts: a fresh key in every round keeps a server's
    prompt cache out of the figures."""
    source = random.Random(repr(key))
    return [nonsense(source, tokens) for _ in range(count)]


GREEDY = (
    "What is Remuda?",
    "Hello! How are you today?",
    "The capital of France is",
    "Count from one to ten:",
    "What is 12 plus 30?",
    "The sky is blue and the grass is",
    "Which port does Remuda listen on?",
    "Tell me a short story about a horse.",
    "Once upon a time there was a llama",
    '{"name": "cria", "age":',
    "What colour is a banana?",
    "def add(a, b):",
    "Please answer in JSON:",
    "How do I stop the server?",
    "OLLAMA_NUM_PARALLEL is",
    "Good morning",
    "Wie geht es dir? Größe, Übung, naïve café",
    "1, 2, 3, 4,",
    "Explain step by step: 7 times 6",
    "A, B, C, D, E,",
)
"""Prompts for the comparison of greedy texts: sense, lists, code, numbers and letters beyond ASCII."""
