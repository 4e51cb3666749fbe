"""Which devices a new replica goes to, and who leaves for it.

In this order: a GPU that holds it whole, such a GPU once idle replicas have left, several GPUs, part of its layers on
GPUs, host memory. No decision promises more than a device has.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from remuda.human import binary_bytes
from remuda.v1 import serving_pb2 as pb
from scheduler.eviction import choose_idle, least_useful
from scheduler.layout import Layout, Sizes
from scheduler.ledger import DeviceKey, Ledger, Shares
from scheduler.model import Replica, ReplicaState

Rooms = Callable[[DeviceKey], int]
"""Bytes that a device has for a replica, now or under an assumption."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be placed. `sizes` has one entry for each number of slots that will do, most slots first."""

    sizes: Sequence[Sizes]
    options: pb.LoadOptions
    spread: bool
    is_further: bool
    """Whether the model is served already. Then nobody leaves for it, and it takes no worse place than a whole GPU."""
    reserved: Shares
    """What those need who have waited longer."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Where the replica goes."""

    placement: pb.Placement
    slots: int
    shares: Shares


@dataclass(frozen=True, slots=True)
class Wait:
    """Others have to leave first: `victims`, or those who are leaving already. `shares` will be needed then."""

    shares: Shares
    victims: Sequence[Replica] = ()


@dataclass(frozen=True, slots=True)
class Never:
    """No device would hold it if all replicas had left."""

    reason: str


Decision = Fit | Wait | Never


def decide(wish: Wish, ledger: Ledger, replicas: Iterable[Replica]) -> Decision:
    """Where a replica goes, or what has to happen first."""
    return _Search(wish, ledger, list(replicas)).decision()


class _Search:
    """One decision."""

    def __init__(self, wish: Wish, ledger: Ledger, replicas: list[Replica]) -> None:
        self._wish = wish
        self._ledger = ledger
        self._replicas = replicas
        self._fewest = wish.sizes[-1:]  # who has to leave is decided by the fewest slots

    def decision(self) -> Decision:
        whole_now = self._first(self._whole, self._room, self._wish.sizes)
        if whole_now is not None:
            return whole_now
        alone = self._anywhere(self._room_alone, self._fewest)
        if alone is None:
            return Never(self._too_large())
        if self._wish.is_further:
            return self._beside()
        return (
            self._whole_after_eviction()
            or self._anywhere(self._room, self._wish.sizes)
            or self._make_room()
            or Wait(alone.shares, self._least_useful())
        )

    def _beside(self) -> Decision:
        """One more replica on a machine without GPUs, or none."""
        on_cpu = None if self._ledger.gpus() else self._first(self._on_cpu, self._room, self._wish.sizes)
        return on_cpu or Wait({})

    # ---- kinds of places ----

    def _anywhere(self, rooms: Rooms, sizes: Sequence[Sizes]) -> Fit | None:
        return (
            self._first(self._whole, rooms, sizes)
            or self._first(self._split, rooms, sizes)
            or self._first(self._partly, rooms, self._fewest)  # rather more layers than more slots
            or self._first(self._on_cpu, rooms, sizes)
        )

    def _first(
        self, place: Callable[[Sizes, Rooms, str], Fit | None], rooms: Rooms, sizes: Sequence[Sizes]
    ) -> Fit | None:
        fits = (place(some, rooms, host) for some in sizes for host in self._ledger.hosts)
        return next((fit for fit in fits if fit is not None), None)

    def _whole(self, sizes: Sizes, rooms: Rooms, host: str) -> Fit | None:
        """The GPU that has the least room left beside the replica."""
        layout = self._layout(sizes)
        gpus = [] if self._wish.spread and not self._main_gpu(host) else self._gpus(host)
        fits = [gpu for gpu in gpus if self._fits([gpu], layout, rooms, host)]
        return self._fit([min(fits, key=rooms)], layout, sizes, host) if fits else None

    def _split(self, sizes: Sizes, rooms: Rooms, host: str) -> Fit | None:
        """As few GPUs as hold all layers, those with the most room; all of them with OLLAMA_SCHED_SPREAD."""
        if self._wish.options.num_gpu >= 0:
            return None
        by_room = sorted(self._gpus(host), key=rooms, reverse=True)
        for count in range(len(by_room) if self._wish.spread else 2, len(by_room) + 1):
            gpus = sorted(by_room[:count])
            layout = sizes.proportional([rooms(gpu) for gpu in gpus]) if gpus else None
            if layout is not None and self._fits(gpus, layout, rooms, host):
                return self._fit(gpus, layout, sizes, host)
        return None

    def _partly(self, sizes: Sizes, rooms: Rooms, host: str) -> Fit | None:
        """As many layers on GPUs as fit."""
        gpus = self._gpus(host)
        layout = sizes.most_layers([rooms(gpu) for gpu in gpus], self._wanted(sizes))
        fits = sum(layout.layers) > 0 and self._fits(gpus, layout, rooms, host)
        return self._fit(gpus, layout, sizes, host) if fits else None

    def _on_cpu(self, sizes: Sizes, rooms: Rooms, host: str) -> Fit | None:
        layout = sizes.on_cpu()
        return self._fit([], layout, sizes, host) if self._fits([], layout, rooms, host) else None

    # ---- making room ----

    def _whole_after_eviction(self) -> Decision | None:
        """Waits for a GPU that others are leaving, or has idle replicas leave one."""
        if (soon := self._first(self._whole, self._room_soon, self._fewest)) is not None:
            return Wait(soon.shares)
        choices = [
            wait for sizes in self._fewest for host in self._ledger.hosts for wait in self._evictions(sizes, host)
        ]
        return min(choices, key=_loss, default=None)

    def _evictions(self, sizes: Sizes, host: str) -> Iterator[Wait]:
        """For each GPU of a host that idle replicas can leave to the new one."""
        layout, cpu = self._layout(sizes), DeviceKey.cpu(host)
        if layout.host > self._room_soon(cpu):
            return
        for gpu in self._gpus(host):
            if victims := self._victims(gpu, layout.gpus[0]):
                yield Wait({gpu: layout.gpus[0], cpu: layout.host}, victims)

    def _make_room(self) -> Decision | None:
        """Waits for what fits nowhere now, or has idle replicas leave host memory."""
        if (soon := self._anywhere(self._room_soon, self._fewest)) is not None:
            return Wait(soon.shares)
        for sizes, host in ((sizes, host) for sizes in self._fewest for host in self._ledger.hosts):
            cpu, size = DeviceKey.cpu(host), sizes.on_cpu().host
            if size <= self._room_alone(cpu) and (victims := self._victims(cpu, size)):
                return Wait({cpu: size}, victims)
        return None

    def _least_useful(self) -> Sequence[Replica]:
        """Who leaves though nobody is idle, one at a time: whoever waits is served some day."""
        someone_moves = any(one.is_leaving or one.state is ReplicaState.LOADING for one in self._replicas)
        victim = None if someone_moves else least_useful(self._replicas)
        return [] if victim is None else [victim]

    def _victims(self, device: DeviceKey, size: int) -> Sequence[Replica]:
        """The idle replicas that leave a device so that it has so many bytes; empty where that does not suffice."""
        holders = [(replica, self._ledger.shares(replica.id).get(device, 0)) for replica in self._replicas]
        return choose_idle([holder for holder in holders if holder[1]], size - self._room_soon(device))

    def _room_soon(self, device: DeviceKey) -> int:
        """The device's room once those have left who are leaving."""
        leaving = (replica.id for replica in self._replicas if replica.is_leaving)
        return max(self._ledger.room_without(device, leaving) - self._wish.reserved.get(device, 0), 0)

    def _room_alone(self, device: DeviceKey) -> int:
        """The device's room if all replicas had left it. Other processes keep what they hold."""
        return self._ledger.room_without(device, (replica.id for replica in self._replicas))

    def _room(self, device: DeviceKey) -> int:
        return max(self._ledger.room(device) - self._wish.reserved.get(device, 0), 0)

    # ---- devices ----

    def _gpus(self, host: str) -> list[DeviceKey]:
        """The GPUs of a host that the replica may use: `main_gpu` alone, where it is there."""
        if self._wish.options.num_gpu == 0:
            return []
        return self._main_gpu(host) or self._ledger.gpus(host)

    def _main_gpu(self, host: str) -> list[DeviceKey]:
        if not self._wish.options.HasField("main_gpu"):
            return []
        return [gpu for gpu in self._ledger.gpus(host) if gpu.index == self._wish.options.main_gpu]

    def _wanted(self, sizes: Sizes) -> int:
        """How many layers are to lie on GPUs: all, or as many as the client says."""
        wanted = self._wish.options.num_gpu
        return sizes.layers if wanted < 0 else min(wanted, sizes.layers)

    def _layout(self, sizes: Sizes) -> Layout:
        """On one GPU."""
        return sizes.on_gpus([self._wanted(sizes)])

    def _fits(self, gpus: Sequence[DeviceKey], layout: Layout, rooms: Rooms, host: str) -> bool:
        shares = zip(gpus, layout.gpus, strict=True)
        return all(size <= rooms(gpu) for gpu, size in shares) and layout.host <= rooms(DeviceKey.cpu(host))

    def _fit(self, gpus: Sequence[DeviceKey], layout: Layout, sizes: Sizes, host: str) -> Fit:
        cpu = DeviceKey.cpu(host)
        used = [(gpu, size, layers) for gpu, size, layers in zip(gpus, layout.gpus, layout.layers, strict=True) if size]
        placement = pb.Placement(
            host=host,
            devices=[pb.DeviceId(kind=key.kind, index=key.index) for key, _, _ in used] or [_id(cpu)],
            bytes=[size for _, size, _ in used] or [layout.host],
            host_bytes=layout.host if used else 0,
            gpu_layers=sum(layout.layers),
            split=[layers for _, _, layers in used] if len(used) > 1 else [],
        )
        shares = {cpu: layout.host} | {key: size for key, size, _ in used}
        return Fit(placement, sizes.slots, shares)

    def _too_large(self) -> str:
        size = self._fewest[0].on_cpu().total
        largest = max((self._room_alone(DeviceKey.cpu(host)) for host in self._ledger.hosts), default=0)
        return f"model requires more system memory ({binary_bytes(size)}) than is available ({binary_bytes(largest)})"


def shares_of(placement: pb.Placement) -> Shares:
    """What a placement promises of each device."""
    shares = {
        DeviceKey.of(placement.host, device): size
        for device, size in zip(placement.devices, placement.bytes, strict=False)
    }
    return {DeviceKey.cpu(placement.host): placement.host_bytes} | shares


def sizes_of(replica: Replica) -> Shares:
    """What a loaded replica has told that it takes of each device. That of several GPUs it tells only together."""
    devices = replica.placement.devices
    if len(devices) != 1:
        return {}
    device, cpu = DeviceKey.of(replica.host, devices[0]), DeviceKey.cpu(replica.host)
    return {cpu: replica.size} if device == cpu else {device: replica.size_vram, cpu: replica.size - replica.size_vram}


def _id(key: DeviceKey) -> pb.DeviceId:
    return pb.DeviceId(kind=key.kind, index=key.index)


def _loss(wait: Wait) -> tuple[int, int]:
    """How much is lost with the victims: few leave rather than many, and the cold rather than the warm."""
    return len(wait.victims), max(victim.last_used_ns for victim in wait.victims)
