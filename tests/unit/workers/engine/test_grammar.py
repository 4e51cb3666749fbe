"""Which tokens a grammar allows, and how a row of logits is held to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.grammar import AllowedTokens

VOCABULARY = 70  # not a multiple of the mask's 32 bits


@given(st.sets(st.integers(0, VOCABULARY - 1)))
def test_all_but_the_allowed_tokens_are_ruled_out(tokens: set[int]) -> None:
    mask = np.zeros(3, np.uint32)
    for token in tokens:
        mask[token // 32] |= np.uint32(1 << token % 32)
    row = np.arange(VOCABULARY, dtype=np.float32)
    AllowedTokens.of(mask.view(np.int32), VOCABULARY).apply(row)
    assert [token for token in range(VOCABULARY) if row[token] == token] == sorted(tokens)
    assert np.isneginf(row).sum() == VOCABULARY - len(tokens)


@pytest.mark.parametrize("allowed", [2, VOCABULARY - 2])
def test_few_places_are_touched_whether_few_or_most_are_allowed(allowed: int) -> None:
    bits = np.zeros(96, np.uint8)
    bits[:allowed] = 1
    mask = np.packbits(bits, bitorder="little").view(np.int32)
    assert len(AllowedTokens.of(mask, VOCABULARY).ids) == 2
