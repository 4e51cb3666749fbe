"""The TCP socket that all gateways share. The supervisor binds it, so that a gateway's restart refuses nobody."""

import contextlib
import socket

from remuda.listen_address import ListenAddress
from remuda.supervisor.errors import StartError


def open_listener(address: ListenAddress, backlog: int) -> socket.socket:
    """An inheritable, listening socket. An empty host listens on all addresses, IPv6 and IPv4.

    Raises StartError in the words of Go's net package, which Ollama's users search for.
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
    """What was really bound: a name is resolved by now, and port 0 asked the kernel for a free one."""
    host, port = listener.getsockname()[:2]
    return address.model_copy(update={"host": host, "port": port, "scheme": "http", "path": ""})


def refuse_connections(listener: socket.socket) -> None:
    """Ends the listening for all processes that have the socket: from now on, and those that nobody has accepted yet,
    connections are refused. Connections that were accepted go on."""
    with contextlib.suppress(OSError):  # Linux alone can; elsewhere the last process to close the socket refuses
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _resolve(address: ListenAddress) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    if address.host == "":
        wildcard = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
        return _resolve(address.model_copy(update={"host": wildcard}))
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # a name that has both kinds is bound to its IPv4 address, as Go does
    family, _, _, _, target = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, target


def _reason(error: OSError | OverflowError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
