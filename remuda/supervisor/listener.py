"""The TCP socket that all gateways share.

The supervisor binds it, so that connections wait and are not refused while a gateway restarts.
"""

import contextlib
import socket

from remuda.listen_address import ListenAddress
from remuda.supervisor.errors import StartError


def open_listener(address: ListenAddress, backlog: int) -> socket.socket:
    """Opens an inheritable, listening socket. An empty host listens on all addresses, IPv6 and IPv4.

    Raises StartError in the words of Go's net package, because Ollama's users search for those.
    """
    listener: socket.socket | None = None
    try:
        family, target = _resolve(address)
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address.host != "" and address.host != "::")
            )
        listener.bind(target)
        listener.listen(backlog)
        listener.set_inheritable(True)
    except socket.gaierror as error:
        raise StartError(f"listen tcp: lookup {address.host}: no such host") from error
    except (OSError, OverflowError) as error:
        if listener is not None:
            listener.close()
        raise StartError(f"listen tcp {address.authority}: bind: {_reason(error)}") from error
    return listener


def bound_address(listener: socket.socket, address: ListenAddress) -> ListenAddress:
    """The address that the socket got: its host is resolved, and its port is chosen if `address` has port 0."""
    host, port = listener.getsockname()[:2]
    return address.model_copy(update={"host": host, "port": port, "scheme": "http", "path": ""})


def refuse_connections(listener: socket.socket) -> None:
    """Ends the listening for all processes that hold the socket.

    New connections and those that no process has accepted yet are refused. Accepted connections go on.
    """
    with contextlib.suppress(OSError):  # only Linux can; elsewhere refusal begins when the last process closes it
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _resolve(address: ListenAddress) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    if address.host == "":
        wildcard = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
        return _resolve(address.model_copy(update={"host": wildcard}))
    candidates = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name that has both kinds of address is bound to its IPv4 address, as in Go.
    family, _, _, _, target = min(candidates, key=lambda entry: entry[0] != socket.AF_INET)
    return family, target


def _reason(error: OSError | OverflowError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
