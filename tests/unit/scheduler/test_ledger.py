"""What is promised of devices, and what they have left."""

from support.scheduler_drive import device

from remuda.v1 import serving_pb2 as pb
from scheduler.ledger import DeviceKey, Ledger

GPU = DeviceKey("h", pb.DEVICE_KIND_CUDA, 0)


def ledger_with(size: int, *, free: int | None = None, reserved: int = 0) -> Ledger:
    ledger = Ledger()
    card = device(size, 0, free=free)
    card.memory_reserved = reserved
    ledger.report("h", [card])
    return ledger


def test_a_promise_takes_room_before_the_device_shows_it() -> None:
    ledger = ledger_with(100)
    ledger.promise(1, {GPU: 60})
    assert ledger.room(GPU) == 40
    ledger.report("h", [device(100, 0, free=100)])
    assert ledger.room(GPU) == 40


def test_what_others_hold_is_no_room() -> None:
    assert ledger_with(100, free=30).room(GPU) == 30


def test_what_is_reserved_is_never_promised() -> None:
    ledger = ledger_with(100, free=90, reserved=20)
    assert (ledger.accounts[GPU].capacity, ledger.room(GPU)) == (80, 70)


def test_a_loaded_replica_counts_once_when_the_device_shows_it() -> None:
    ledger = ledger_with(100, free=90)  # 10 are others'
    ledger.promise(1, {GPU: 60})
    ledger.loaded(1)
    for _ in range(2):
        ledger.report("h", [device(100, 0, free=30)])
    assert ledger.room(GPU) == 30


def test_a_report_that_was_on_its_way_while_it_loaded_does_not_count_yet() -> None:
    ledger = ledger_with(100, free=90)
    ledger.promise(1, {GPU: 60})
    ledger.loaded(1)
    ledger.report("h", [device(100, 0, free=90)])
    assert ledger.room(GPU) == 30


def test_memory_is_free_only_when_the_device_says_so() -> None:
    ledger = ledger_with(100)
    ledger.promise(1, {GPU: 60})
    ledger.loaded(1)
    for _ in range(2):
        ledger.report("h", [device(100, 0, free=40)])
    ledger.release(1)
    assert (ledger.room(GPU), ledger.room_without(GPU, [])) == (40, 100)
    ledger.report("h", [device(100, 0)])
    assert ledger.room(GPU) == 100


def test_memory_that_a_device_does_not_free_is_not_waited_for_for_ever() -> None:
    ledger = ledger_with(100, free=40)
    ledger.promise(1, {GPU: 40})
    ledger.release(1)
    for left in (80, 80, 80, 80, 40):
        assert ledger.room_without(GPU, []) == 80
        ledger.report("h", [device(100, 0, free=40)])
        assert ledger.room_without(GPU, []) == left


def test_a_replica_that_takes_more_than_promised_is_believed() -> None:
    ledger = ledger_with(100)
    ledger.promise(1, {GPU: 60})
    ledger.raise_to(1, {GPU: 70})
    ledger.raise_to(1, {GPU: 50})
    assert ledger.shares(1) == {GPU: 70}


def test_a_device_that_is_gone_has_no_room() -> None:
    ledger = ledger_with(100)
    ledger.report("h", [device(100)])
    assert (ledger.room(GPU), ledger.room_without(GPU, [])) == (0, 0)


def test_a_replica_counts_also_on_a_device_that_is_reported_after_it() -> None:
    ledger = Ledger()
    ledger.promise(1, {GPU: 60})
    ledger.loaded(1)
    ledger.report("h", [device(100, 0)])
    assert ledger.room(GPU) == 40
    ledger.report("h", [])
    ledger.report("h", [device(100, 0)])
    assert ledger.room(GPU) == 40
    ledger.release(1)
    assert ledger.room(GPU) == 100
