"""States that have left the device: what is kept, what goes, and where."""

from pathlib import Path
from threading import Event

import numpy as np
import pytest

from workers.engine.parking import ParkedState, Parking
from workers.engine.parking.disk import WRITES, Disk
from workers.engine.parking.spare_memory import PATIENCE

SIZE = 100


def state_of(*tokens: int, adapters: tuple[str, ...] = (), size: int = SIZE) -> ParkedState:
    return ParkedState(list(tokens), adapters, np.full(size, tokens[0], np.uint8))


def parked_in(parking: Parking) -> list[list[int]]:
    return [parked.tokens for parked in parking]


def park(parking: Parking, *states: ParkedState, cuttable: bool = True) -> None:
    for state in states:
        parking.park(state, cuttable=cuttable)


def written(disk: Disk) -> None:
    """Waits until all that is to be written is."""
    disk._thread.submit(bool).result()


def test_a_longer_state_that_can_be_cut_takes_the_place_of_a_shorter_one() -> None:
    parking = Parking(10 * SIZE)
    park(parking, state_of(1, 2), state_of(3), state_of(1, 2, 4))
    assert parked_in(parking) == [[3], [1, 2, 4]]


def test_states_that_cannot_be_cut_serve_only_where_they_end() -> None:
    parking = Parking(10 * SIZE)
    park(parking, state_of(1, 2), state_of(1, 2, 4), state_of(1, 2), cuttable=False)
    assert parked_in(parking) == [[1, 2, 4], [1, 2]]


def test_states_of_other_adapters_are_other_states() -> None:
    parking = Parking(10 * SIZE)
    park(parking, state_of(1, 2), state_of(1, 2, 3, adapters=("a",)), state_of(1, 2, adapters=("b", "a")))
    assert len(parking) == 3


def test_the_state_used_longest_ago_goes_where_there_is_no_room() -> None:
    parking, states = Parking(3 * SIZE), [state_of(number) for number in range(5)]
    park(parking, *states[:3])
    parking.touch(states[0])
    park(parking, *states[3:])
    assert parked_in(parking) == [[0], [3], [4]]
    assert parking.bytes == 3 * SIZE


def test_a_state_larger_than_the_limit_drives_nobody_out() -> None:
    parking = Parking(2 * SIZE)
    park(parking, state_of(1), state_of(2, size=3 * SIZE))
    assert parked_in(parking) == [[1]]


def test_a_limit_of_nothing_is_no_parking() -> None:
    parking = Parking(0)
    park(parking, state_of(1))
    assert (parking.enabled, len(parking), parking.bytes) == (False, 0, 0)


def prepared(parking: Parking) -> None:
    """Waits until all memory that was asked for ahead of time is there."""
    parking._spare._thread.submit(bool).result()


def test_the_memory_of_a_state_that_was_expected_is_there_already() -> None:
    parking = Parking(10 * SIZE)
    parking.expect(SIZE)
    prepared(parking)
    memory = parking.room(SIZE - 1)
    assert memory.nbytes == SIZE - 1
    assert memory.base is not None
    assert parking.room(SIZE).base is None  # it is there once


@pytest.mark.parametrize("size", [SIZE // 2, SIZE + 1])
def test_a_state_of_another_size_than_expected_has_memory_of_its_own(size: int) -> None:
    parking = Parking(10 * SIZE)
    parking.expect(SIZE)
    prepared(parking)
    assert (parking.room(size).nbytes, parking.room(size).base) == (size, None)
    assert parking.room(SIZE).base is not None


def test_where_all_room_is_taken_the_oldest_goes_ahead_of_time() -> None:
    parking = Parking(4 * SIZE)
    park(parking, *(state_of(number) for number in range(4)))
    parking.expect(SIZE)
    prepared(parking)
    assert parked_in(parking) == [[1], [2], [3]]
    new = ParkedState([4], (), parking.room(SIZE))
    assert new.state.base is not None
    park(parking, new)
    assert parked_in(parking) == [[1], [2], [3], [4]]


def test_nobody_goes_for_a_large_state_that_may_never_come() -> None:
    parking = Parking(3 * SIZE)
    park(parking, *(state_of(number) for number in range(3)))
    parking.expect(SIZE)
    assert len(parking) == 3
    assert parking.room(SIZE).base is None


@pytest.mark.parametrize(("smaller", "ready"), [(PATIENCE, 2 * SIZE), (PATIENCE + 1, SIZE)])
def test_memory_for_a_large_state_waits_for_one_and_not_for_ever(smaller: int, ready: int) -> None:
    parking = Parking(10 * SIZE)
    for size in (2 * SIZE, *[SIZE] * smaller):
        parking.expect(size)
    prepared(parking)
    assert [size for size in (SIZE, 2 * SIZE) if parking.room(size).base is not None] == [ready]


def test_what_memory_has_no_room_for_is_on_disk_in_files_without_a_name(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 10 * SIZE)
    parking = Parking(SIZE, disk)
    park(parking, *(state_of(number, adapters=("a",)) for number in range(1, 4)))
    written(disk)
    assert [parked.tokens for parked in disk] == [[1], [2]]
    assert [(parked.adapters, parked.state.tolist()) for parked in disk] == [(("a",), [n] * SIZE) for n in (1, 2)]
    assert (parking.bytes, len(parking)) == (SIZE, 3)
    assert list(tmp_path.iterdir()) == []


def test_the_disk_keeps_to_its_limit_and_what_was_used_last(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 2 * SIZE)
    parking = Parking(SIZE, disk)
    for number in range(1, 4):
        park(parking, state_of(number))
        written(disk)
    parking.touch(next(iter(disk)))
    park(parking, state_of(4))
    written(disk)
    assert [parked.tokens for parked in disk] == [[1], [3]]


def test_the_disk_forgets_what_a_longer_state_serves(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 10 * SIZE)
    parking = Parking(SIZE, disk)
    park(parking, state_of(1, 2), state_of(3))
    written(disk)
    park(parking, state_of(1, 2, 4))
    written(disk)
    assert sorted(parked_in(parking)) == [[1, 2, 4], [3]]


def test_a_disk_that_cannot_be_written_to_loses_the_states_alone(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "nowhere", 10 * SIZE)
    parking = Parking(SIZE, disk)
    park(parking, state_of(1), state_of(2), state_of(3))
    written(disk)
    assert parked_in(parking) == [[3]]


def test_states_do_not_pile_up_before_a_slow_disk(tmp_path: Path) -> None:
    disk, busy = Disk(tmp_path, 100 * SIZE), Event()
    disk._thread.submit(busy.wait)
    park(Parking(SIZE, disk), *(state_of(number) for number in range(2 * WRITES)))
    busy.set()
    written(disk)
    assert [parked.tokens for parked in disk] == [[number] for number in range(WRITES)]
