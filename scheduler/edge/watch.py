"""The scheduler's state as `Residents` and `Watch` tell it."""

from remuda.v1 import serving_pb2 as pb
from scheduler.ledger import Account
from scheduler.model import Replica
from scheduler.state import State

LATEST_NS = (1 << 63) - 1
"""The latest Unix time that a message can tell; a keep-alive of centuries ends later."""


def resident(replica: Replica, monotonic_ns: int, unix_ns: int) -> pb.Resident:
    """One replica. The core keeps monotonic time; clients read Unix time."""
    message = pb.Resident(
        model=replica.spec,
        replica=replica.id,
        placement=replica.placement,
        size=replica.size,
        size_vram=replica.size_vram,
        slots=replica.slots,
        slots_busy=len(replica.busy),
        num_ctx=replica.num_ctx or replica.spec.options.num_ctx,
        state=replica.state.value,
        stats=replica.stats,
    )
    if replica.keep_alive_ns >= 0:
        expires = monotonic_ns + replica.keep_alive_ns if replica.expires_at_ns is None else replica.expires_at_ns
        message.expires_at_ns = min(unix_ns + expires - monotonic_ns, LATEST_NS)
    return message


def scheduler_state(state: State, monotonic_ns: int, unix_ns: int) -> pb.SchedulerState:
    """The whole state: devices, residents, and how many requests wait and run."""
    return pb.SchedulerState(
        devices=[_device(account) for account in state.ledger.accounts.values()],
        residents=[resident(replica, monotonic_ns, unix_ns) for replica in state.replicas.values()],
        waiting=len(state.queues),
        running=sum(len(replica.busy) for replica in state.replicas.values()),
    )


def _device(account: Account) -> pb.Device:
    """A device with what is promised of it."""
    device = pb.Device()
    device.CopyFrom(account.device)
    device.memory_promised = account.promised
    return device
