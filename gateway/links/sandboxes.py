"""Asks sandboxes: which failures are the server's, and not the question's."""

from gateway.errors import overloaded, unavailable
from remuda.sandbox.pool import DidNotStartError, OverloadedError, SandboxPool

NOT_STARTED = "the server cannot start a process for this request now"


async def ask(pool: SandboxPool, question: bytes) -> bytes:
    """The answer. Raises GatewayError: BUSY where too many wait, UNAVAILABLE where no process starts.

    What the question is to blame for is left to the caller: ProcessDiedError and TookTooLongError.
    """
    try:
        return await pool.ask(question)
    except OverloadedError:
        raise overloaded() from None
    except DidNotStartError:
        raise unavailable(NOT_STARTED) from None
