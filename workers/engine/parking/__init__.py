"""Parked states: KV states off the device. Host memory keeps them, then disk; the least recently used ones go first.

A state is parked when a newcomer takes its cells, and when a running sequence must make room. If a model's memory
cannot be cut, states at some lengths of a prompt are parked, too: other prompts may share them.
"""

from workers.engine.parking.disk import Disk
from workers.engine.parking.parked_state import ParkedState
from workers.engine.parking.parked_states import Usable
from workers.engine.parking.parking import Parking

__all__ = ["Disk", "ParkedState", "Parking", "Usable"]
