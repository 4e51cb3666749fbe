"""How long tests search for harmful inputs: the same few in every run of the tests, many new ones by `make fuzz`."""

import asyncio
import os
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

_WANTED = os.environ.get("FUZZ_EXAMPLES", "")
EXAMPLES = int(_WANTED or 60)
IS_LONG = bool(_WANTED)

fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=not IS_LONG,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
"""Decorates a test that takes inputs by `hypothesis.given`."""

Result = TypeVar("Result")


class Loop:
    """An event loop that outlives one input: what is opened in it serves all of them."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop:
        return self._runner.get_loop()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)


@contextmanager
def event_loop() -> Generator[Loop]:
    with asyncio.Runner() as runner:
        yield Loop(runner)
