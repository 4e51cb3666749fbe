"""Turns: sequences with different LoRA adapters cannot share a decode."""

from workers.engine.adapters import AdapterPaths

STEPS_OF_A_TURN = 4
"""Steps that a group keeps the device while others wait. A change of adapters makes llama.cpp plan its graph anew."""


class Turns:
    """Groups of sequences with the same adapters take turns."""

    def __init__(self) -> None:
        self._current: AdapterPaths = ()
        self._steps = 0

    def next(self, waiting: list[AdapterPaths], *, stay: bool = False) -> AdapterPaths:
        """Returns the group of the next step, one of `waiting`. Called once a step.

        `stay` keeps the current group, because a change would have to wait.
        """
        groups = sorted(set(waiting))
        if self._current in groups and (self._steps < STEPS_OF_A_TURN or len(groups) == 1 or stay):
            self._steps += 1
            return self._current
        after = [group for group in groups if group > self._current]
        self._current = (after or groups)[0]
        self._steps = 1
        return self._current
