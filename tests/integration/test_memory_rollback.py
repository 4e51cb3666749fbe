"""A recurrent state goes back by its snapshots, and only where these are what they have to be."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.mtp_models import write_recurrent_with_head

from workers.engine.batch import Batch
from workers.engine.context import Context, ContextOptions
from workers.engine.model import Model, ModelOptions

SNAPSHOTS = 4
TEXT = [3 + 37 * place % 256 for place in range(40)]


class Computed:
    """A context with two sequences, and what is computed in it."""

    def __init__(self, path: Path) -> None:
        model = Model(ModelOptions(str(path)), lambda _: None)
        options = ContextOptions(2, 256, 64, threads=1, draft_rows=2, snapshots=SNAPSHOTS)
        self.context = Context(model, options)
        self._batch = Batch(64)

    def add(self, tokens: list[int], position: int, sequence: int = 0) -> NDArray[np.float32]:
        """The logits after the last token."""
        count = len(tokens)
        places = list(range(position, position + count))
        self._batch.fill(tokens, places, [sequence] * count, [0] * (count - 1) + [1])
        assert self.context.decode(self._batch) == 0
        return self.context.logits(1)[0].copy()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recurrent_with_head(tmp_path_factory.mktemp("models") / "recurrent.gguf")


@pytest.fixture
def expected(path: Path) -> NDArray[np.float32]:
    """The logits after 12 tokens of the text and a 9."""
    computed = Computed(path)
    computed.add(TEXT[:10], 0)
    computed.add(TEXT[10:12], 10)
    return computed.add([9], 12)


@pytest.fixture
def rolled_back(path: Path) -> Computed:
    """Back at 12 tokens, after 10 and 5 more."""
    computed = Computed(path)
    computed.add(TEXT[:10], 0)
    computed.add(TEXT[10:15], 10)
    assert computed.context.memory.roll_back(0, 12)
    return computed


def test_what_was_taken_back_has_never_been(rolled_back: Computed, expected: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(rolled_back.add([9], 12), expected, atol=1e-3)


def test_a_copy_of_what_went_back_is_the_same(rolled_back: Computed, expected: NDArray[np.float32]) -> None:
    assert rolled_back.context.memory.copy(0, 1)
    np.testing.assert_allclose(rolled_back.add([9], 12, sequence=1), expected, atol=1e-3)
    np.testing.assert_allclose(rolled_back.add([9], 12, sequence=0), expected, atol=1e-3)


def test_a_saved_state_of_what_went_back_is_the_same(rolled_back: Computed, expected: NDArray[np.float32]) -> None:
    state = rolled_back.context.memory.save(0)
    assert state is not None
    assert rolled_back.context.memory.restore(1, state)
    np.testing.assert_allclose(rolled_back.add([9], 12, sequence=1), expected, atol=1e-3)


def test_nothing_is_cut_to_the_snapshots_of_an_earlier_decode(path: Path) -> None:
    computed = Computed(path)
    computed.add(TEXT[:10], 0)
    computed.add(TEXT[10:11], 10)
    assert not computed.context.memory.keep(0, 9)
    computed.add(TEXT[:9], 0)  # it is empty


def test_no_more_is_taken_back_than_there_are_snapshots(path: Path) -> None:
    computed = Computed(path)
    computed.add(TEXT[:20], 0)
    assert computed.context.memory.rollback == SNAPSHOTS
    assert not computed.context.memory.roll_back(0, 20 - SNAPSHOTS - 1)
