"""Constrained output: the tokens that a grammar allows next, found while the model computes their logits.

Grammars are llguidance's (Lark-like text, or JSON made from a JSON schema); the gateway makes and validates them.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from numpy.typing import NDArray

from workers.engine.grammar_tokenizer import grammar_tokenizer
from workers.engine.vocabulary import Vocabulary

MAX_ITEMS = 20_000
"""Branches of a grammar at one place. An optional property makes four. llguidance's own limit is 2,000."""

COMPILED_KEPT = 64
"""Grammars kept compiled. Clients send the same few schemas again and again; a large one takes tens of milliseconds."""


class GrammarError(Exception):
    """A grammar that does not compile, or output that breaks it."""


@dataclass(frozen=True, slots=True)
class AllowedTokens:
    """The tokens that may come next. `ids` names the allowed or the forbidden ones, whichever are fewer: a step then
    changes few places of a row of logits."""

    ids: NDArray[np.int64]
    alone: bool  # `ids` are the allowed tokens; otherwise the forbidden ones

    @classmethod
    def of(cls, mask: NDArray[np.int32], vocabulary_size: int) -> "AllowedTokens":
        """Reads llguidance's mask, which has one bit for each token."""
        bits = np.unpackbits(mask.view(np.uint8), count=vocabulary_size, bitorder="little").view(np.bool_)
        alone = 2 * int(np.count_nonzero(bits)) < vocabulary_size
        return cls(np.flatnonzero(bits if alone else ~bits), alone)

    def apply(self, row: NDArray[np.float32]) -> None:
        """Rules out the forbidden tokens in a row of logits (vocabulary,)."""
        if self.alone:
            kept = row[self.ids]
            row.fill(-np.inf)
            row[self.ids] = kept
        else:
            row[self.ids] = -np.inf


class Constraint:
    """One sequence's place in its grammar."""

    def __init__(self, matcher: LLMatcher, vocabulary_size: int) -> None:
        self._matcher = matcher
        self._mask: NDArray[np.int32] = np.zeros((vocabulary_size + 31) // 32, np.int32)
        self._allowed: list[AllowedTokens] = []  # for the next token, and after each token of the draft
        self._vocabulary_size = vocabulary_size

    @property
    def complete(self) -> bool:
        """Whether nothing may follow."""
        return self._matcher.is_stopped()

    @property
    def failure(self) -> str:
        """Why the matcher has failed; empty while it works."""
        return _reason(self._matcher) if self._matcher.is_error() else ""

    def forced(self) -> list[int]:
        """Returns the tokens that must come next, tokenised as the vocabulary would; the first ones of a long text."""
        return self._matcher.compute_ff_tokens()

    def compute_masks(self, draft: list[int]) -> None:
        """Finds the tokens allowed next, and those allowed after each token of a draft."""
        self._allowed, consumed = [self._compute_mask()], 0
        for token in draft:
            if self._matcher.try_consume_tokens([token]) == 0:
                break  # the sampler cannot pick it, so no mask is needed after it
            consumed += 1
            if self._matcher.is_stopped():
                break
            self._allowed.append(self._compute_mask())
        if consumed:
            self._matcher.rollback(consumed)

    def apply(self, row: NDArray[np.float32], ahead: int = 0) -> None:
        """Rules out forbidden tokens in the row of logits (vocabulary,) after the first `ahead` tokens of the draft."""
        if ahead < len(self._allowed):
            self._allowed[ahead].apply(row)

    def accept(self, token: int) -> None:
        """Moves past a picked token. Raises GrammarError when the grammar forbids it."""
        if not self._matcher.consume_token(token):
            raise GrammarError(_reason(self._matcher))

    def _compute_mask(self) -> AllowedTokens:
        cast(Any, self._matcher).unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        return AllowedTokens.of(self._mask, self._vocabulary_size)


class Grammars:
    """Compiles grammars for one vocabulary in a thread. A large schema holds up no step, nor does the first use of a
    large vocabulary, which takes about a second."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._thread = ThreadPoolExecutor(1, "grammar")
        self._compiled = lru_cache(COMPILED_KEPT)(self._compile)

    def compile(self, grammar: str) -> Future[Constraint]:
        """Returns a constraint at the beginning of a grammar. The future raises GrammarError."""
        return self._thread.submit(self._begin, grammar)

    def _begin(self, grammar: str) -> Constraint:
        return Constraint(self._compiled(grammar).deep_copy(), self._vocabulary.size)

    def _compile(self, grammar: str) -> LLMatcher:
        # clients read these errors, so they leave out the parser's state and the whole grammar
        limits = LLParserLimits(verbose_errors=False, max_items_in_row=MAX_ITEMS, step_max_items=20 * MAX_ITEMS)
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0, limits=limits)
        Constraint(matcher, self._vocabulary.size).compute_masks([])  # a long text that must come first takes a while
        if matcher.is_error():
            raise GrammarError(_reason(matcher))
        return matcher

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        return grammar_tokenizer(self._vocabulary)


def _reason(matcher: LLMatcher) -> str:
    """The matcher's error, without llguidance's marks."""
    return matcher.get_error().partition("\n<")[0].strip()
