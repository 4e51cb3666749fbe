"""Constrained output in a process of its own, which may die of a grammar without ending the tests."""

import json
import subprocess
import sys
from pathlib import Path

from support.engine_run import Run, engine_on
from support.paths import ROOT

SECONDS = 100
"""Ends a child that hangs."""


def say_in_child(model: Path, grammar: str, *, predict: int) -> str:
    """Runs a request on a model; its text. Raises CalledProcessError where the process died."""
    command = [sys.executable, "-c", f"from support import constrained; constrained.say({str(model)!r}, {predict})"]
    paths = f"{ROOT}:{ROOT / 'tests'}"
    child = subprocess.run(
        command, input=grammar, env={"PYTHONPATH": paths}, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    return json.loads(child.stdout.splitlines()[-1])


def say(model: str, predict: int) -> None:
    """Reads the grammar, and writes the text as JSON."""
    run = Run(engine_on(Path(model), draft_tokens=8))
    run.add(0, predict=predict, grammar=sys.stdin.read())
    while run.engine.busy:  # the grammar is compiled in a thread, however long that takes
        run.steps(1)
    print(json.dumps(run.text[0]))  # noqa: T201
