"""An NVML with cards that a test describes, fails and repairs."""

from dataclasses import dataclass, field


class NVMLError(Exception):
    """What every call raises that fails."""


@dataclass(slots=True)
class Memory:
    total: int
    free: int


@dataclass(slots=True)
class Process:
    pid: int
    usedGpuMemory: int | None  # noqa: N815


@dataclass(slots=True)
class PciInfo:
    busId: str  # noqa: N815


@dataclass(slots=True)
class Card:
    """A GPU, or a part of one (MIG) where its UUID says so."""

    uuid: str
    total: int = 1000
    free: int = 600
    processes: list[Process] | None = field(default_factory=list[Process])
    """None = NVML does not tell."""
    parts: list["Card"] | None = None
    """None = it cannot be divided."""
    pci_id: str = "00000000:C1:00.0"
    is_lost: bool = False


class FakeNvml:
    """Has the functions of `pynvml` that are used. They are called by its names."""

    NVMLError = NVMLError

    def __init__(self, *cards: Card, has_driver: bool = True) -> None:
        self.cards = list(cards)
        self.has_driver = has_driver
        self.starts = 0

    def nvmlInit(self) -> None:  # noqa: N802
        self._check(self.has_driver)
        self.starts += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self._check(self.has_driver)

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self._check(self.has_driver)
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:  # noqa: N802
        return self.cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Card:  # noqa: N802
        self._check(self.has_driver)
        parts = [part for card in self.cards for part in card.parts or ()]
        for card in (*self.cards, *parts):
            if card.uuid == uuid:
                return card
        raise NVMLError("Not Found")

    def nvmlDeviceGetUUID(self, card: Card) -> str:  # noqa: N802
        return card.uuid

    def nvmlDeviceGetName(self, card: Card) -> str:  # noqa: N802
        return f"Card {card.uuid}"

    def nvmlDeviceGetPciInfo(self, card: Card) -> PciInfo:  # noqa: N802
        return PciInfo(card.pci_id)

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Memory:  # noqa: N802
        self._check(not card.is_lost)
        return Memory(card.total, card.free)

    def nvmlDeviceGetComputeRunningProcesses(self, card: Card) -> list[Process]:  # noqa: N802
        self._check(card.processes is not None)
        return card.processes or []

    def nvmlDeviceGetMigMode(self, card: Card) -> list[int]:  # noqa: N802
        self._check(card.parts is not None)
        return [int(bool(card.parts)), int(bool(card.parts))]

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Card) -> int:  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Card, index: int) -> Card:  # noqa: N802
        parts = card.parts or []
        self._check(index < len(parts))
        return parts[index]

    @staticmethod
    def _check(works: bool) -> None:
        if not works:
            raise NVMLError("GPU is lost")
