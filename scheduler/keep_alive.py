"""Keep-alive: how long an idle replica stays, counted from the end of its last request."""

from scheduler.model import Replica, Request


def renew(replica: Replica, request: Request) -> None:
    """A request takes the replica out of its rest. Its keep-alive, if it names one, holds for the next rest too."""
    if request.keep_alive_ns is not None:
        replica.keep_alive_ns = request.keep_alive_ns
    replica.expires_at_ns = None


def begin(replica: Replica, now_ns: int) -> None:
    """Starts the clock of a replica that has nothing to do; of one that rests already the clock goes on."""
    if replica.is_resting and replica.expires_at_ns is None and replica.keep_alive_ns >= 0:
        replica.expires_at_ns = now_ns + replica.keep_alive_ns


def end(replica: Replica) -> None:
    """From now on the replica stays no longer than it is busy."""
    replica.keep_alive_ns = 0
    replica.expires_at_ns = None


def is_over(replica: Replica, now_ns: int) -> bool:
    return replica.expires_at_ns is not None and replica.expires_at_ns <= now_ns
