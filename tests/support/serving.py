"""Runs a real `remuda serve` for tests, and asks after its address, log and processes."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import httpx
import psutil

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc

REMUDA = Path(sys.executable).with_name("remuda")
T = TypeVar("T")
DEADLINE = 20.0
"""Seconds that any step of a test may take. A start takes one, a restart less."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready. Each has its own port, models folder and folder of sockets."""

    url: str
    process: subprocess.Popen[str]
    folder: Path
    banner: str

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def records(self, **fields: object) -> list[dict[str, Any]]:
        """The log's complete JSON lines that have these fields."""
        lines = (line for line in self.log.splitlines(keepends=True) if line.startswith("{") and line.endswith("\n"))
        return [record for record in map(json.loads, lines) if fields.items() <= record.items()]

    def cached_tokens(self, model: str, prompt_tokens: int | None, requests: int) -> list[int]:
        """Tokens that came from the cache, for each prompt of `prompt_tokens`, in the order of the log.

        Waits until the log has that many requests, because a reply reaches its client before its log line is written.
        """

        def counts() -> list[int]:
            records = self.records(model=model, prompt_tokens=prompt_tokens)
            return [record["cached_tokens"] for record in records] if len(records) >= requests else []

        return until(counts)

    def connect(self, timeout_s: float = DEADLINE) -> socket.socket:
        """A bare connection to the server."""
        url = httpx.URL(self.url)
        return socket.create_connection((url.host, url.port or 0), timeout_s)

    def processes(self) -> dict[str, int]:
        """Pids of all descendants by title: `remuda scheduler`, `remuda worker cria:latest cpu`."""
        pids: dict[str, int] = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                pids[child.cmdline()[0]] = child.pid
        return pids

    def scheduler_state(self) -> pb.SchedulerState:
        """What the scheduler tells of itself now."""
        (store,) = self.run_dir.glob("*/store.grpc")
        with grpc.insecure_channel(f"unix:{store.with_name('scheduler.grpc')}") as channel:
            watch = serving_pb2_grpc.SchedulerStub(channel).Watch(pb.WatchRequest(), DEADLINE, wait_for_ready=True)
            return next(iter(watch))

    def generate(self, prompt: str = "Hello!") -> httpx.Response:
        """Asks the embedded model for four tokens, unstreamed."""
        body = {"model": "cria", "prompt": prompt, "stream": False, "options": {"num_predict": 4}}
        return httpx.post(f"{self.url}/api/generate", json=body, timeout=DEADLINE)

    def assert_serves(self) -> None:
        """Asserts that `generate` is answered. A failure shows the answer that came instead and the server's log."""
        reply = self.generate()
        assert reply.status_code == 200, f"{reply.status_code} {reply.text}\n{self.log}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextlib.contextmanager
def short_folder() -> Generator[Path]:
    """A temporary folder with a path short enough for unix sockets, which pytest's tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="remuda-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


StartServer = Callable[..., Server]


def environment(folder: Path, changes: Mapping[str, str]) -> dict[str, str]:
    """A server's environment: a free port, folders below `folder`, and `changes`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "REMUDA_"))}
    own = {
        "OLLAMA_HOST": "127.0.0.1:0",
        "OLLAMA_MODELS": str(folder / "models"),
        "REMUDA_RUN_DIR": str(folder / "run"),
    }
    return {**inherited, **own, **changes}


def start_server(folder: Path, changes: Mapping[str, str]) -> Server:
    """Starts a server and returns when it has printed its banner."""
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [REMUDA, "serve"], env=environment(folder, changes), stdout=subprocess.PIPE, stderr=log, text=True
        )
    banner = _read_banner(process)
    address = re.search(r"listens on (http://\S+)", banner)
    if address is None:
        raise AssertionError(f"the server did not start: {(folder / 'log').read_text()}")
    return Server(address[1], process, folder, banner)


def _read_banner(process: subprocess.Popen[str]) -> str:
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if line.startswith("  Stop"):
            break
    return "".join(lines)


@contextlib.contextmanager
def running_server(folder: Path, **changes: str) -> Generator[Server]:
    """A server that ends with the block, unless it has ended before. Keywords are environment variables."""
    server = start_server(folder, changes)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
        if server.process.stdout is not None:
            server.process.stdout.close()


def until(condition: Callable[[], T], seconds: float = DEADLINE) -> T:
    """Waits until `condition` returns a true value, and returns that."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"still {result!r} after {seconds} s")
        time.sleep(0.02)
    return result


@contextlib.contextmanager
def paused(pid: int) -> Generator[None]:
    """A process that stands still inside the block, which may kill it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def is_alive(pid: int) -> bool:
    """Whether a process runs. A dead one that is not reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
