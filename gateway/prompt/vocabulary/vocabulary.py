"""One model's vocabulary in a gateway: short texts are tokenised at once, long ones in processes of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from gateway.errors import internal, invalid, overloaded
from gateway.links.sandboxes import ask
from gateway.prompt.vocabulary.tokenizer import TextKind, Tokenizer
from remuda.groups import groups
from remuda.sandbox.pool import NICE, ProcessDiedError, Sandbox, SandboxPool, TookTooLongError
from remuda.settings import Settings
from remuda.threads import Threads
from remuda.v1 import store_pb2
from remuda.v1.store_pb2 import Bundle

TEXT = 16
"""Characters that a text counts beside its own: to tokenise an empty one takes as long."""
QUESTION = 1 << 20
"""Characters of a list of texts that are asked for together, about. Then others have their turn."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where long texts are tokenised, and long lists of tokens turned into text."""

    processes: SandboxPool
    threads: Threads
    settings: Settings

    @classmethod
    def of(cls, settings: Settings) -> "Workshop":
        sandbox = Sandbox(
            module="gateway.prompt.vocabulary.sandbox",
            memory=settings.tokenizer_memory,
            arguments=(settings.tokenizer_stack, settings.vocabulary_cache),
            niceness=NICE,
            processes=settings.tokenizer_processes,
            waiting=settings.tokenizer_queue,
            timeout_ns=settings.tokenize_timeout_ns,
            start_timeout_ns=settings.start_timeout_ns,
        )
        threads = Threads("vocabularies", settings.blocking_threads, settings.blocking_queue, overloaded)
        return cls(SandboxPool(sandbox), threads, settings)


class Vocabulary:
    """A model's tokenizer, and how texts reach it."""

    def __init__(self, bundle: Bundle, known: store_pb2.Vocabulary, workshop: Workshop) -> None:
        """Blocks while it loads. `known`: what the store found out. Raises GatewayError where it cannot be read."""
        self.tokenizer = Tokenizer(bundle.model_path, tuple(bundle.split_paths), is_fragile=known.fragile)
        self._workshop = workshop
        self._files = (bundle.model_path, *bundle.split_paths)
        self._longest_token = known.longest_token
        self._inline = -1 if known.fragile else workshop.settings.tokenize_inline

    async def tokenize(self, text: str, limit: int | None = None, kind: TextKind = TextKind.PROMPT) -> list[int]:
        """The ids of one text, as `tokenize_all`."""
        return (await self.tokenize_all([text], limit, kind))[0]

    async def tokenize_all(
        self, texts: Sequence[str], limit: int | None = None, kind: TextKind = TextKind.PROMPT
    ) -> list[list[int]]:
        """The ids of texts. What has more than twice `limit` tokens may lack some between its first and last `limit`.

        Raises GatewayError: INVALID for a text that the engine's tokenizer cannot bear, BUSY where too many wait.
        """
        texts = [self._ends(text, limit) for text in texts]
        if sum(map(_size, texts)) <= self._inline:
            return [self.tokenizer.tokenize(text, kind) for text in texts]
        tokens: list[list[int]] = []
        for _, some in groups(texts, _size, QUESTION):
            tokens += await self._ask(some, limit, kind)
        return tokens

    async def text_of(self, tokens: Sequence[int], source: str) -> str:
        """`Tokenizer.text_of`, for long lists in a thread."""
        if len(tokens) <= self._workshop.settings.tokenize_inline:
            return self.tokenizer.text_of(tokens, source)
        return await self._workshop.threads.run(self.tokenizer.text_of, tokens, source)

    def _ends(self, text: str, limit: int | None) -> str:
        """A text without the middle that no context of `limit` tokens can hold."""
        if limit is None:
            return text
        most = max(limit * self._longest_token, self._workshop.settings.tokenize_at_least)
        return text if len(text) <= 2 * most else text[:most] + text[-most:]

    async def _ask(self, texts: Sequence[str], limit: int | None, kind: TextKind) -> list[list[int]]:
        question = {"files": self._files, "texts": texts, "kind": kind.value, "limit": limit}
        try:
            answer = orjson.loads(await ask(self._workshop.processes, orjson.dumps(question)))
        except TookTooLongError:
            raise invalid("the prompt takes too long to tokenise") from None
        except ProcessDiedError:
            raise invalid("the prompt cannot be tokenised: one of its words is too long") from None
        if "error" in answer:
            raise internal(answer["error"])
        return answer["tokens"]


def _size(text: str) -> int:
    return len(text) + TEXT
