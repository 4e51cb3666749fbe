"""Which devices a new replica goes to, and who leaves for it."""

from dataclasses import replace

import pytest
from support.footprints import footprint
from support.scheduler_drive import device, spec_of

from remuda.v1 import serving_pb2 as pb
from scheduler.layout import Sizes
from scheduler.ledger import DeviceKey, Ledger
from scheduler.model import Replica, ReplicaState, RequestKey
from scheduler.placement import Fit, Never, Wait, Wish, decide, shares_of

HOST = "h"
CPU = DeviceKey(HOST, pb.DEVICE_KIND_CPU, 0)
SIZE = 100
"""Bytes of a model of nine layers and the output layer, ten each."""


def gpu(index: int) -> DeviceKey:
    return DeviceKey(HOST, pb.DEVICE_KIND_CUDA, index)


def sizes(slots: int = 1, *, cache: int = 0, **rest: int) -> Sizes:
    return Sizes(footprint(slots, layer=10, layers=9, cache=cache, output=10, **rest))


def wish(*some: Sizes, spread: bool = False, is_further: bool = False, **options: int) -> Wish:
    load = pb.LoadOptions(**({"num_gpu": -1} | options))  # pyright: ignore[reportArgumentType]
    return Wish(some or (sizes(),), load, spread, is_further, {})


class Box:
    """A machine with GPUs of these sizes, and what runs on it."""

    def __init__(self, *gpus: int, ram: int = 1000) -> None:
        self.ledger = Ledger()
        self.ledger.report(HOST, [device(ram), *(device(size, index) for index, size in enumerate(gpus))])
        self.replicas: list[Replica] = []

    def put(self, size: int, key: DeviceKey, *, used: int = 0, busy: int = 0, keep_alive: int = 1) -> Replica:
        """A replica of so many bytes, last used at a time."""
        placement = pb.Placement(host=HOST, devices=[pb.DeviceId(kind=key.kind, index=key.index)], bytes=[size])
        replica = Replica(len(self.replicas) + 1, placement, spec_of("other"), keep_alive, 4, 0)
        replica.state, replica.last_used_ns = ReplicaState.READY, used
        replica.busy.update(RequestKey(number, 0) for number in range(busy))
        self.replicas.append(replica)
        self.ledger.promise(replica.id, {key: size})
        return replica

    def decide(self, wanted: Wish) -> Fit | Wait | Never:
        return decide(wanted, self.ledger, self.replicas)

    def fit(self, wanted: Wish) -> Fit:
        decision = self.decide(wanted)
        assert isinstance(decision, Fit), decision
        return decision

    def victims(self, wanted: Wish) -> list[int]:
        decision = self.decide(wanted)
        assert isinstance(decision, Wait), decision
        return [victim.id for victim in decision.victims]


def test_the_gpu_with_the_least_room_that_holds_a_model_whole_gets_it() -> None:
    assert Box(300, SIZE, 200).fit(wish()).shares == {CPU: 0, gpu(1): SIZE}
    assert Box(300, SIZE - 1, 200).fit(wish()).shares == {CPU: 0, gpu(2): SIZE}


def test_what_stays_in_host_memory_counts_there() -> None:
    fit = Box(200).fit(wish(sizes(input=7, host=5, compute=3, companions=2)))
    assert fit.shares == {CPU: 12, gpu(0): SIZE + 5}
    assert (fit.placement.host_bytes, list(fit.placement.bytes)) == (12, [SIZE + 5])
    assert shares_of(fit.placement) == fit.shares


def test_as_many_slots_as_fit_beside_the_model() -> None:
    choices = [sizes(slots, cache=1) for slots in (16, 8, 4, 2, 1)]
    assert [Box(size).fit(wish(*choices)).slots for size in (244, 243, 109)] == [16, 8, 1]


def test_main_gpu_and_num_gpu_are_kept_to() -> None:
    box = Box(200, 200, SIZE)
    assert box.fit(wish(main_gpu=1)).shares == {CPU: 0, gpu(1): SIZE}
    assert box.fit(wish(main_gpu=7)).shares == {CPU: 0, gpu(2): SIZE}
    assert box.fit(wish(num_gpu=0)).shares == {CPU: SIZE}
    some = box.fit(wish(num_gpu=3))
    assert (some.shares, some.placement.gpu_layers) == ({CPU: 70, gpu(2): 30}, 3)
    assert box.fit(wish(num_gpu=999)).placement.gpu_layers == 10


def test_an_idle_replica_leaves_before_a_model_is_split() -> None:
    box = Box(SIZE, 60)
    idle = box.put(50, gpu(0))
    assert box.victims(wish()) == [idle.id]


def test_the_coldest_that_suffices_alone_leaves_else_the_fewest() -> None:
    box = Box(SIZE, ram=1)
    for size, used in ((10, 1), (40, 2), (50, 3)):
        box.put(size, gpu(0), used=used)
    small = Sizes(footprint(1, layer=20, layers=2))
    assert box.victims(wish(small)) == [2]
    assert box.victims(wish(Sizes(footprint(1, layer=35, layers=2)))) == [3, 2]


def test_who_was_to_stay_for_ever_leaves_last() -> None:
    box = Box(SIZE, ram=1)
    box.put(50, gpu(0), used=1, keep_alive=-1)
    box.put(50, gpu(0), used=2)
    assert box.victims(wish(Sizes(footprint(1, layer=25, layers=2)))) == [2]


def test_of_two_gpus_the_one_that_fewer_leave_is_chosen() -> None:
    box = Box(SIZE, SIZE, ram=1)
    for size, key in ((50, gpu(0)), (50, gpu(0)), (SIZE, gpu(1))):
        box.put(size, key)
    assert box.victims(wish()) == [3]


def test_nobody_else_is_evicted_while_enough_memory_comes_back() -> None:
    box = Box(SIZE)
    box.put(90, gpu(0)).state = ReplicaState.STOPPING
    box.put(10, gpu(0), busy=1)
    small = Sizes(footprint(1, layer=45, layers=2))
    assert box.decide(wish(small)) == Wait({CPU: 0, gpu(0): 90})


def test_beside_busy_replicas_a_model_is_split_in_proportion() -> None:
    box = Box(SIZE, SIZE, SIZE)
    for index, size in enumerate((20, 60, 70)):
        box.put(size, gpu(index), busy=1)
    fit = box.fit(wish())
    assert fit.shares == {CPU: 0, gpu(0): 70, gpu(1): 30} or fit.shares == {CPU: 0, gpu(0): 60, gpu(1): 40}
    assert sum(fit.placement.split) == fit.placement.gpu_layers == 10
    assert len(fit.placement.split) == len(fit.placement.devices) == 2


def test_sched_spread_takes_all_gpus() -> None:
    fit = Box(300, 300, 300).fit(wish(spread=True))
    assert sorted(fit.placement.split) == [3, 3, 4]


def test_what_no_gpus_hold_keeps_its_first_layers_in_host_memory() -> None:
    fit = Box(45, 25).fit(wish(sizes(compute=5)))
    assert fit.placement.gpu_layers == 6
    assert fit.shares == {CPU: 40 + 5, gpu(0): 45, gpu(1): 25}


def test_without_gpus_a_model_goes_to_host_memory() -> None:
    fit = Box().fit(wish())
    assert fit.shares == {CPU: SIZE}
    assert fit.placement.devices == [pb.DeviceId(kind=pb.DEVICE_KIND_CPU)]
    assert fit.placement.gpu_layers == 0


def test_what_nothing_could_hold_is_refused_and_evicts_nobody() -> None:
    box = Box(50, ram=40)
    box.put(50, gpu(0))
    decision = box.decide(wish())
    assert isinstance(decision, Never)
    assert "requires more system memory (100 B) than is available (40 B)" in decision.reason


def test_what_other_processes_leave_no_room_for_is_refused_and_evicts_nobody() -> None:
    box = Box(ram=2 * SIZE)
    box.put(20, CPU)
    box.ledger.report(HOST, [device(2 * SIZE, free=SIZE // 2)])
    decision = box.decide(wish())
    assert isinstance(decision, Never)
    assert "requires more system memory (100 B) than is available (50 B)" in decision.reason


def test_where_nobody_is_idle_the_least_busy_leaves_one_at_a_time() -> None:
    box = Box(ram=SIZE)
    box.put(50, CPU, busy=2)
    box.put(50, CPU, busy=1)
    assert box.victims(wish()) == [2]
    box.replicas[1].state = ReplicaState.DRAINING
    assert box.victims(wish()) == []


def test_a_further_replica_takes_a_whole_gpu_or_none_and_nobody_leaves_for_it() -> None:
    box = Box(SIZE, 60)
    assert box.fit(wish(is_further=True)).shares == {CPU: 0, gpu(0): SIZE}
    box.put(50, gpu(0))
    assert box.decide(wish(is_further=True)) == Wait({})


def test_room_that_is_made_for_one_is_not_given_to_another() -> None:
    box = Box(SIZE, ram=SIZE)
    assert box.fit(wish()).shares == {CPU: 0, gpu(0): SIZE}
    assert box.fit(replace(wish(), reserved={gpu(0): 95})).shares == {CPU: SIZE}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_no_placement_promises_more_than_a_device_has(count: int) -> None:
    for size in range(0, 140, 7):
        box = Box(*(size + 3 * index for index in range(count)), ram=90)
        decision = box.decide(wish(sizes(compute=4, host=3, input=6, companions=2)))
        if isinstance(decision, Fit):
            assert all(bytes_ <= box.ledger.room(key) for key, bytes_ in decision.shares.items())
