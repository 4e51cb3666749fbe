"""The private folder of an instance and the listening socket."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from remuda.listen_address import ListenAddress
from remuda.supervisor.errors import StartError
from remuda.supervisor.instance import open_instance
from remuda.supervisor.listener import bound_address, open_listener, refuse_connections


def test_the_folder_is_private_and_removed_at_the_end(tmp_path: Path) -> None:
    with open_instance(tmp_path / "run", gateways=1) as endpoints:
        assert endpoints.folder.stat().st_mode & 0o777 == 0o700
        (endpoints.folder / "store.grpc").touch()
    assert not endpoints.folder.exists()


def test_a_dead_instances_folder_is_removed_and_a_living_ones_stays(tmp_path: Path) -> None:
    program = f"""
import os
from pathlib import Path
from remuda.supervisor.instance import open_instance
with open_instance(Path({str(tmp_path)!r}), 1) as endpoints:
    print(endpoints.folder, flush=True)
    os._exit(9)
"""
    dead = Path(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip())
    assert dead.is_dir()
    with open_instance(tmp_path, 1) as first, open_instance(tmp_path, 1) as second:
        assert not dead.exists()
        assert first.folder.exists()
        assert second.folder.exists()
        assert first.folder != second.folder


def test_a_path_that_is_too_long_for_unix_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="too long for unix sockets"), open_instance(tmp_path / ("x" * 100), 1):
        pass


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(StartError, match="writable for other users"), open_instance(shared, 1):
        pass


def test_a_link_in_place_of_the_folder_is_refused_and_its_target_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "home" / "i-precious"
    precious.mkdir(parents=True)
    (tmp_path / "run").symlink_to(tmp_path / "home")
    with pytest.raises(StartError, match="symbolic link"), open_instance(tmp_path / "run", 1):
        pass
    assert precious.exists()


def test_a_busy_port_is_an_error_in_gos_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(StartError) as caught:
            open_listener(ListenAddress(port=port), 16)
    assert str(caught.value) == f"listen tcp 127.0.0.1:{port}: bind: address already in use"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.1", "listen tcp 192.0.2.1:0: bind: cannot assign requested address"),
        ("no-such-host.invalid", "listen tcp: lookup no-such-host.invalid: no such host"),
    ],
)
def test_an_address_of_another_machine_is_an_error_of_one_line(host: str, words: str) -> None:
    with pytest.raises(StartError) as caught:
        open_listener(ListenAddress(host=host, port=0), 16)
    assert str(caught.value) == words


def test_the_listener_is_inheritable_and_knows_its_port() -> None:
    with open_listener(ListenAddress(port=0), 16) as listener:
        assert os.get_inheritable(listener.fileno())
        assert bound_address(listener, ListenAddress(port=0)).port == listener.getsockname()[1] != 0


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
def test_an_empty_host_listens_on_both_protocols(client: str) -> None:
    with open_listener(ListenAddress(host="", port=0), 16) as listener:
        socket.create_connection((client, listener.getsockname()[1]), timeout=5).close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address_is_bound_alone() -> None:
    with open_listener(ListenAddress.parse("[::1]:0"), 16) as listener:
        assert bound_address(listener, ListenAddress.parse("[::1]:0")).authority.startswith("[::1]:")


def test_connections_are_refused_though_other_processes_hold_the_socket() -> None:
    listener = open_listener(ListenAddress(port=0), 16)
    with listener, listener.dup():
        address = listener.getsockname()
        with socket.create_connection(address, timeout=5) as waiting:
            refuse_connections(listener)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5)
            with pytest.raises(ConnectionResetError):  # no process had accepted it
                waiting.recv(1)
