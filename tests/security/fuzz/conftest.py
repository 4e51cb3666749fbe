"""One event loop for all inputs of a module."""

from collections.abc import Generator

import pytest
from support.fuzzing import Loop, event_loop


@pytest.fixture(scope="module")
def loop() -> Generator[Loop]:
    with event_loop() as loop:
        yield loop
