"""Parts of a grammar in llguidance's Lark dialect, for the tokens of one vocabulary."""

import json

from gateway.prompt.tokenizer import Tokenizer

TEXT = r"/(.|\n)*/"


class LarkWriter:
    """Writes one grammar. A tag is a special token where the vocabulary has it as one, and text everywhere else."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._vocabulary = tokenizer
        self._definitions: list[str] = []

    def tag(self, text: str) -> str:
        """The tag itself."""
        token = self._vocabulary.special_token(text)
        return json.dumps(text) if token is None else f"<[{token}]>"

    def through(self, closing: str) -> str:
        """Anything up to a tag, and the tag."""
        token = self._vocabulary.special_token(closing)
        if token is not None:
            return f"{self._tokens_but(token)} <[{token}]>"
        name = f"through_{len(self._definitions)}"
        self._definitions.append(f"{name}[suffix={json.dumps(closing)}]: {TEXT}")
        return name

    def anything(self) -> str:
        """Whatever the model likes, to the end of its reply."""
        return self._tokens_but()

    def grammar(self, start: str) -> str:
        """The whole: what the reply is, and the definitions that it needs."""
        return "\n".join((f"start: {start}", *self._definitions))

    def _tokens_but(self, *tokens: int) -> str:
        """Any tokens save for these and those that end a reply."""
        excluded = ",".join(map(str, (*tokens, *self._vocabulary.end_of_generation)))
        return f"(<[^{excluded}]>)*" if excluded else "(<[*]>)*"
