"""The bytes of every device: what it has, and what is promised of them to replicas."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from remuda.devices import is_gpu
from remuda.v1 import serving_pb2 as pb

REPORTS_UNTIL_SEEN = 2
"""Reports of a host after which its figures show a loaded replica. The first may have been on its way already."""

REPORTS_UNTIL_FREE = 5
"""Reports of a host after which its figures show that a replica has ended. Drivers may take seconds to free memory."""


@dataclass(frozen=True, slots=True, order=True)
class DeviceKey:
    """One device of one host."""

    host: str
    kind: pb.DeviceKind.ValueType
    index: int

    @classmethod
    def of(cls, host: str, device: pb.DeviceId) -> "DeviceKey":
        return cls(host, device.kind, device.index)

    @classmethod
    def cpu(cls, host: str) -> "DeviceKey":
        """Where a host's own memory is accounted."""
        return cls(host, pb.DEVICE_KIND_CPU, 0)


Shares = Mapping[DeviceKey, int]
"""Bytes on devices."""


@dataclass(slots=True)
class Account:
    """One device."""

    device: pb.Device
    promises: dict[int, int] = field(default_factory=dict[int, int])  # bytes, by replica
    unseen: dict[int, int | None] = field(default_factory=dict[int, int | None])
    """Replicas that the device's own figure does not show yet: reports still to come, None while they load."""
    ended: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    """Bytes of replicas that have ended, which the device may not show as free yet, and reports still to come."""

    @property
    def capacity(self) -> int:
        """What may be promised at most, while nobody else uses the device."""
        return max(self.device.memory_total - self.device.memory_reserved, 0)

    @property
    def promised(self) -> int:
        return sum(self.promises.values())

    @property
    def room(self) -> int:
        """What may be promised now: by what is promised already, and by what the device says."""
        unseen = sum(self.promises.get(replica, 0) for replica in self.unseen)
        free = self.device.memory_free - self.device.memory_reserved - unseen
        return max(min(self.capacity - self.promised, free), 0)

    @property
    def returning(self) -> int:
        """Bytes at most that ended replicas have yet to give back."""
        return sum(size for size, _ in self.ended.values())

    def release(self, replica: int) -> None:
        """The replica's process has ended."""
        self.unseen.pop(replica, None)
        if size := self.promises.pop(replica, 0):
            self.ended[replica] = size, REPORTS_UNTIL_FREE

    def report(self, device: pb.Device) -> None:
        """The device's figures as of now."""
        self.device = device
        self.ended = {replica: (size, left - 1) for replica, (size, left) in self.ended.items() if left > 1}
        for replica, reports in list(self.unseen.items()):
            if reports == 1:
                del self.unseen[replica]
            elif reports is not None:
                self.unseen[replica] = reports - 1


class Ledger:
    """All devices. A replica has its bytes from before its worker starts until its process has ended."""

    def __init__(self) -> None:
        self.accounts: dict[DeviceKey, Account] = {}
        self._promises: dict[int, Shares] = {}  # by replica, also of devices that no host has reported yet

    # ---- devices ----

    def report(self, host: str, devices: Iterable[pb.Device]) -> None:
        """A host's devices as of now. Those that it names no more have no room."""
        present: set[DeviceKey] = set()
        for device in devices:
            key = DeviceKey.of(host, device.id)
            present.add(key)
            if key not in self.accounts:
                self.accounts[key] = self._new_account(key, device)
            self.accounts[key].report(device)
        for key in [key for key in self.accounts if key.host == host and key not in present]:
            del self.accounts[key]

    def _new_account(self, key: DeviceKey, device: pb.Device) -> Account:
        """Of a device that is new, or has come back: replicas may be on it."""
        promises = {replica: shares[key] for replica, shares in self._promises.items() if key in shares}
        return Account(device, promises, dict.fromkeys(promises, REPORTS_UNTIL_SEEN))

    @property
    def hosts(self) -> list[str]:
        return list(dict.fromkeys(key.host for key in self.accounts))

    def gpus(self, host: str | None = None) -> list[DeviceKey]:
        """The GPUs of a host, or of all hosts."""
        return [key for key in self.accounts if host in (None, key.host) and is_gpu(self.accounts[key].device.id)]

    def room(self, key: DeviceKey) -> int:
        """Bytes that may be promised of a device now; 0 where it is unknown."""
        account = self.accounts.get(key)
        return account.room if account is not None else 0

    def room_without(self, key: DeviceKey, replicas: Iterable[int]) -> int:
        """Bytes that could be promised of a device if these replicas had left it, and all that have ended."""
        account = self.accounts.get(key)
        if account is None:
            return 0
        returned = sum(account.promises.get(replica, 0) for replica in replicas) + account.returning
        return min(account.room + returned, account.capacity)

    # ---- promises ----

    def promise(self, replica: int, shares: Shares) -> None:
        """Reserves a replica's bytes. Its worker is about to load."""
        self._promises[replica] = shares
        for key, size in shares.items():
            if (account := self.accounts.get(key)) is not None:
                account.promises[replica] = size
                account.unseen[replica] = None

    def raise_to(self, replica: int, shares: Shares) -> None:
        """A replica has told what it takes. Where that is more than was promised, it counts."""
        for key, size in shares.items():
            account = self.accounts.get(key)
            if account is not None and size > account.promises.get(replica, 0):
                account.promises[replica] = size
                self._promises[replica] = {**self._promises.get(replica, {}), key: size}

    def loaded(self, replica: int) -> None:
        """A replica has its memory: its devices will say so."""
        for account in self.accounts.values():
            if account.unseen.get(replica, 0) is None:
                account.unseen[replica] = REPORTS_UNTIL_SEEN

    def release(self, replica: int) -> None:
        """A replica's process has ended."""
        self._promises.pop(replica, None)
        for account in self.accounts.values():
            account.release(replica)

    def shares(self, replica: int) -> Shares:
        """What is promised to a replica."""
        return self._promises.get(replica, {})
