"""`remuda serve` from its start to its end, and after the death of a process."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from support.models_folder import ENDLESS, install_endless, models_folder
from support.serving import DEADLINE, REMUDA, Server, StartServer, environment, is_alive, until

from gateway.errors import STOPPING


def failed_start(folder: Path, **changes: str) -> tuple[int, str]:
    """Starts a server that cannot start. Returns its exit status and stderr."""
    done = subprocess.run(
        [REMUDA, "serve"], env=environment(folder, changes), capture_output=True, text=True, timeout=30
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def shared_memory() -> set[str]:
    return set(os.listdir("/dev/shm"))


def test_a_busy_port_is_one_line_and_status_1(private_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        status, errors = failed_start(private_folder, OLLAMA_HOST=address)
    assert (status, errors) == (1, f"Error: listen tcp {address}: bind: address already in use\n")


def test_an_unwritable_models_folder_is_one_line_and_status_1(private_folder: Path) -> None:
    (private_folder / "file").touch()
    folder = private_folder / "file" / "models"
    status, errors = failed_start(private_folder, OLLAMA_MODELS=str(folder))
    assert (status, errors) == (
        1,
        f"Error: the models folder {folder} is not writable: Not a directory (OLLAMA_MODELS)\n",
    )


@pytest.mark.parametrize(
    ("variable", "value", "error", "process"),
    [
        ("OLLAMA_ORIGINS", "foo", "'foo' has no scheme", "gateway 0"),
        ("REMUDA_DEVICES", '[{"id": "gpu0", "kind": "cuda", "total": 1}]', "0: a GPU needs an index", "host"),
    ],
    ids=["an origin", "a list of devices"],
)
def test_what_a_process_cannot_use_is_an_error_without_a_traceback(
    private_folder: Path, variable: str, value: str, error: str, process: str
) -> None:
    status, errors = failed_start(private_folder, **{variable: value})
    assert status == 1
    assert f"Error: {variable}: {error}\n" in errors
    assert f"{process} ended at its start (exit status 1)" in errors
    assert "Traceback" not in errors


def test_the_banner_names_address_models_devices_and_changed_settings(server: Server) -> None:
    assert f"listens on {server.url}" in server.banner
    assert "cria:latest" in server.banner
    assert "cpu" in server.banner
    assert "OLLAMA_HOST=127.0.0.1:0" in server.banner
    assert f"""curl {server.url}/api/generate -d '{{"model": "cria", """ in server.banner


def test_processes_have_titles_that_an_operator_can_read(server: Server) -> None:
    server.assert_serves()
    titles = set(server.processes())
    assert {"remuda gateway 0", "remuda scheduler", "remuda store", "remuda host"} <= titles
    assert any(title.startswith("remuda worker cria") for title in titles)


def test_sockets_are_private(server: Server) -> None:
    (folder,) = server.run_dir.glob("i-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    sockets = [path for path in folder.iterdir() if path.is_socket()]
    assert {path.stat().st_mode & 0o777 for path in sockets} == {0o600}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_and_nothing_has_to_be_killed(start: StartServer, number: signal.Signals) -> None:
    before = shared_memory()
    server = start(REMUDA_STOP_TIMEOUT="60s")
    server.assert_serves()
    pids = server.processes().values()
    assert server.stop(number) == 0
    assert "did not stop in time" not in server.log
    assert not any(map(is_alive, pids))
    assert list(server.run_dir.glob("i-*")) == []
    assert shared_memory() <= before
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_stream_that_runs_does_not_delay_the_end(start: StartServer, private_folder: Path) -> None:
    install_endless(models_folder(private_folder))
    server = start(private_folder)
    with httpx.stream("POST", f"{server.url}/api/generate", json=ENDLESS, timeout=30) as response:
        lines = response.iter_lines()
        next(lines)
        assert server.stop() == 0
        *_, last = lines
    assert json.loads(last) == {"error": STOPPING}


def test_connections_are_refused_while_a_stream_goes_on_to_its_end(start: StartServer) -> None:
    server = start(REMUDA_STOP_TIMEOUT="20s")
    server.assert_serves()
    gateway = psutil.Process(server.processes()["remuda gateway 0"])
    body = {"model": "cria", "prompt": "Hello!", "raw": True, "options": {"num_predict": 500}}
    with httpx.stream("POST", f"{server.url}/api/generate", json=body, timeout=30) as response:
        lines = response.iter_lines()
        next(lines)
        gateway.suspend()  # the refusal needs no gateway
        server.process.terminate()
        until(lambda: is_refused(server.url))
        gateway.resume()
        assert json.loads(list(lines)[-1])["done"]
    assert server.process.wait(DEADLINE) == 0
    assert "Traceback" not in server.log


def is_refused(url: str) -> bool:
    """Whether a new connection is refused. One that is being made while the socket closes is reset instead."""
    address = httpx.URL(url)
    try:
        socket.create_connection((address.host, address.port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    return False


@pytest.mark.parametrize("title", ["remuda gateway 0", "remuda scheduler", "remuda store", "remuda host"])
def test_a_killed_process_is_restarted_and_serving_goes_on(start: StartServer, title: str) -> None:
    server = start()
    server.assert_serves()
    first = server.processes()[title]
    os.kill(first, signal.SIGKILL)
    until(lambda: server.processes().get(title, first) != first)
    until(lambda: "process restarted" in server.log)
    server.assert_serves()
    assert "signal SIGKILL" in server.log


def test_a_model_is_loaded_for_the_first_time_once_a_killed_store_is_back(start: StartServer) -> None:
    server = start()
    os.kill(server.processes()["remuda store"], signal.SIGKILL)
    server.assert_serves()


def test_template_processes_inherit_nothing_but_their_streams(server: Server) -> None:
    server.assert_serves()
    processes = server.processes()
    gateway, templates = (descriptors(processes[f"remuda {title}"]) for title in ("gateway 0", "templates"))
    assert {number for number, entry in gateway.items() if not entry.closes_on_exec} <= {0, 1, 2}
    own = {templates[number].target for number in (0, 1, 2, 3)}
    assert len(templates) == 4  # answers go to a duplicate of stdout, and what is printed goes to stderr
    assert {entry.target for entry in templates.values()} == own


@dataclass(frozen=True, slots=True)
class Descriptor:
    """An open file of a process."""

    target: str
    closes_on_exec: bool


def descriptors(pid: int) -> dict[int, Descriptor]:
    """All open files of a process by number."""
    files: dict[int, Descriptor] = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the file was closed meanwhile
            flags = re.search(r"flags:\s+(\d+)", Path(f"/proc/{pid}/fdinfo/{link.name}").read_text())
            assert flags is not None
            files[int(link.name)] = Descriptor(os.readlink(link), bool(int(flags[1], 8) & os.O_CLOEXEC))
    return files


def test_a_killed_supervisor_takes_everything_with_it_and_the_next_one_cleans_up(
    start: StartServer, private_folder: Path
) -> None:
    server = start(private_folder)
    server.assert_serves()
    pids = server.processes().values()
    (left,) = server.run_dir.glob("i-*")
    server.stop(signal.SIGKILL)
    until(lambda: not any(map(is_alive, pids)))
    assert left.exists()
    successor = start(private_folder)
    assert not left.exists()
    successor.assert_serves()


def test_a_second_instance_runs_beside_the_first(server: Server, start: StartServer) -> None:
    second = start()
    assert second.url != server.url
    second.assert_serves()
    server.assert_serves()
