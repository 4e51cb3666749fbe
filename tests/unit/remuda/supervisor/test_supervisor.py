"""The supervisor with real child processes: start, restart, stop."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from support.paths import ROOT

from remuda.endpoints import Endpoints
from remuda.settings import Settings
from remuda.supervisor.child import Child, exit_reason
from remuda.supervisor.errors import StartError
from remuda.supervisor.programs import Program
from remuda.supervisor.supervisor import Supervisor, check_models_folder

PROCESS = ROOT / "tests" / "support" / "supervised_process.py"


def program(folder: Path, mode: str, name: str = "store", is_gateway: bool = False) -> Program:
    target = f"unix:{folder}/{name.replace(' ', '-')}.grpc"
    return Program(name, (str(PROCESS), target, mode), target, is_gateway)


class SupervisorRun:
    """A running supervisor with its listening socket."""

    def __init__(self, settings: Settings, folder: Path, programs: list[Program]) -> None:
        self.ready = asyncio.Event()
        listener = socket.create_server(("127.0.0.1", 0))
        self.listener = listener
        self.supervisor = Supervisor(settings, listener, Endpoints(folder), programs, self._on_ready)

    async def _on_ready(self, _: Endpoints) -> None:
        self.ready.set()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[asyncio.Task[None]]:
        task = asyncio.create_task(self.supervisor.run())
        ready = asyncio.create_task(self.ready.wait())
        try:
            await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            yield task
        finally:
            ready.cancel()
            task.cancel()
            await asyncio.gather(task, ready, return_exceptions=True)
            self.listener.close()


def children() -> set[int]:
    """Pids of the supervised processes."""
    pids: set[int] = set()
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == "remuda supervis" or "supervised" in " ".join(process.cmdline()):
                pids.add(process.pid)
    return pids


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (other processes set no event here)
            await asyncio.sleep(0.01)


async def test_a_process_that_ends_at_its_start_fails_the_start_with_its_status(tmp_path: Path) -> None:
    programs = [program(tmp_path, "exits"), program(tmp_path, "serves", "host")]
    async with SupervisorRun(Settings(), tmp_path, programs).open() as task:
        with pytest.raises(StartError, match=r"^store ended at its start \(exit status 3\)"):
            await task
    assert children() == set()


async def test_a_process_that_never_reports_health_fails_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_START_TIMEOUT", "300ms")
    async with SupervisorRun(Settings(), tmp_path, [program(tmp_path, "mute")]).open() as task:
        with pytest.raises(StartError, match=r"store did not report health within 0\.3 s"):
            await task
    assert children() == set()


async def test_a_killed_process_is_replaced_and_its_children_are_ended(tmp_path: Path) -> None:
    async with SupervisorRun(Settings(), tmp_path, [program(tmp_path, "parent")]).open():
        (first,) = children()
        grandchild = psutil.Process(int((tmp_path / "store.pid").read_text()))
        os.kill(first, signal.SIGKILL)
        await until(lambda: bool(children()) and first not in children())
        await until(lambda: (tmp_path / "store.grpc").exists())
        await until(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_stops_all_processes(tmp_path: Path, number: signal.Signals) -> None:
    programs = [program(tmp_path, "serves"), program(tmp_path, "serves", "gateway 0", is_gateway=True)]
    async with SupervisorRun(Settings(), tmp_path, programs).open() as task:
        assert len(children()) == 2
        os.kill(os.getpid(), number)
        await task
    assert children() == set()


async def test_a_process_that_ignores_the_signal_is_killed_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_STOP_TIMEOUT", "400ms")
    async with SupervisorRun(Settings(), tmp_path, [program(tmp_path, "stubborn")]).open() as task:
        start = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)
        await task
        assert time.monotonic() - start > 0.3
    assert children() == set()


async def test_a_second_signal_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMUDA_STOP_TIMEOUT", "1h")
    async with SupervisorRun(Settings(), tmp_path, [program(tmp_path, "stubborn")]).open() as task:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)
        await task
    assert children() == set()


async def test_each_death_in_a_row_doubles_the_pause_up_to_its_maximum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_RESTART_BACKOFF", "100ms")
    monkeypatch.setenv("REMUDA_RESTART_BACKOFF_MAX", "200ms")
    starts: list[float] = []

    class DyingChild(Child):
        async def start(self) -> None:
            starts.append(time.monotonic())
            raise StartError("it ended")

    child = DyingChild(program(tmp_path, "exits"), {}, 0, Settings())
    keeper = asyncio.create_task(child.keep())
    await until(lambda: len(starts) == 4)
    keeper.cancel()
    pauses = [after - before for before, after in itertools.pairwise(starts)]
    assert pauses == pytest.approx([0.2, 0.2, 0.2], abs=0.08)


@pytest.mark.parametrize(("status", "words"), [(-9, "signal SIGKILL"), (-15, "signal SIGTERM"), (1, "exit status 1")])
def test_an_exit_status_has_words(status: int, words: str) -> None:
    assert exit_reason(status) == words


def test_a_missing_models_folder_is_created(tmp_path: Path) -> None:
    check_models_folder(tmp_path / "a" / "models")
    assert list((tmp_path / "a" / "models").iterdir()) == []


def test_a_models_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"the models folder .*/file/models is not writable: Not a directory"):
        check_models_folder(tmp_path / "file" / "models")
