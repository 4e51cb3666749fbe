"""KV states that have left the device: kept in host memory, the least recently used ones on disk, then dropped.

A state is parked when a newcomer takes the cells it lives in, when a running sequence has to make room, and, for models
whose memory cannot be cut, at points of a prompt that other prompts may share.
"""

from workers.engine.parking.disk import Disk
from workers.engine.parking.parking import Parking
from workers.engine.parking.state import ParkedState
from workers.engine.parking.states import Usable

__all__ = ["Disk", "ParkedState", "Parking", "Usable"]
