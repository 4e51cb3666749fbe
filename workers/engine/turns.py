"""Whose turn it is, where sequences cannot share a decode: those with different LoRA adapters."""

from workers.engine.adapters import AdapterPaths

STEPS_OF_A_TURN = 4
"""A change of adapters makes llama.cpp plan its graph anew, so a group keeps the device for some steps; the others
wait no longer than that for each of them."""


class Turns:
    """Groups of sequences with the same adapters take turns."""

    def __init__(self) -> None:
        self._current: AdapterPaths = ()
        self._steps = 0

    def next(self, waiting: list[AdapterPaths], *, stay: bool = False) -> AdapterPaths:
        """The group that computes the next step, of those that want to: the same one where all else would have to wait,
        `stay`. Called once a step."""
        groups = sorted(set(waiting))
        if self._current in groups and (self._steps < STEPS_OF_A_TURN or len(groups) == 1 or stay):
            self._steps += 1
            return self._current
        after = [group for group in groups if group > self._current]
        self._current = (after or groups)[0]
        self._steps = 1
        return self._current
