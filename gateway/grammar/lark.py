"""Writes a grammar in llguidance's Lark dialect, for the tokens of one vocabulary."""

import json

from gateway.grammar.rules import Rules, grammar_text
from gateway.prompt.vocabulary.tokenizer import Tokenizer

TEXT = r"/(.|\n)*/"
SPACE = r"/[ \n]{0,4}/"
"""What models write after a closing tag; the parsers drop it."""


class LarkWriter:
    """Writes one grammar. A tag is one special token where the vocabulary has such a token, and text otherwise."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._definitions: list[str] = []
        self._embedded: dict[str, Rules] = {}

    def tag(self, text: str) -> str:
        """Matches the tag itself."""
        token = self._tokenizer.special_token(text)
        return json.dumps(text) if token is None else f"<[{token}]>"

    def through(self, closing: str) -> str:
        """Matches anything up to a tag, and the tag."""
        token = self._tokenizer.special_token(closing)
        if token is not None:
            return f"{self._tokens_but(token)} <[{token}]>"
        name = f"through_{len(self._definitions)}"
        self._definitions.append(f"{name}[suffix={json.dumps(closing)}]: {TEXT}")
        return name

    def anything(self) -> str:
        """Matches everything up to the end of the reply."""
        return self._tokens_but()

    def embed(self, name: str, rules: Rules) -> str:
        """Matches what follows other rules, which get a name in this grammar."""
        self._embedded[name] = rules
        return f"@{name}"

    def grammar(self, start: str) -> str:
        """The whole grammar for the worker, where `start` matches the reply."""
        lark = "\n".join((f"start: {start}", *self._definitions))
        return grammar_text(
            {"lark_grammar": lark}, *({"name": name, **rules} for name, rules in self._embedded.items())
        )

    def _tokens_but(self, *tokens: int) -> str:
        """Matches all tokens except these and those that end a reply."""
        excluded = ",".join(map(str, (*tokens, *self._tokenizer.end_of_generation)))
        return f"(<[^{excluded}]>)*" if excluded else "(<[*]>)*"
