"""A real `remuda serve` for tests: its address, its processes, its end."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

REMUDA = Path(sys.executable).with_name("remuda")
T = TypeVar("T")
DEADLINE = 20.0
"""Seconds that anything may take here; a start takes one, a restart less."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready. Every one has its own port, models folder and folder of sockets."""

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

    def cached_tokens(self, model: str, prompt_tokens: int | None, requests: int) -> list[int]:
        """What was not computed anew of each prompt of that length, in order, once that many requests are in the log.

        A reply reaches its client before the log tells of it.
        """
        about = {"model": model, "prompt_tokens": prompt_tokens}

        def told() -> list[int]:
            lines = self.log.splitlines(keepends=True)
            whole = (line for line in lines if line.startswith("{") and line.endswith("\n"))
            return [record["cached_tokens"] for record in map(json.loads, whole) if about.items() <= record.items()]

        return until(lambda: len(known := told()) >= requests and known)

    def processes(self) -> dict[str, int]:
        """Pids of all descendants by title: `remuda scheduler`, `remuda worker cria:latest cpu`."""
        found: dict[str, int] = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                found[child.cmdline()[0]] = child.pid
        return found

    def generate(self, prompt: str = "Hello!") -> httpx.Response:
        """One whole answer of the embedded model."""
        body = {"model": "cria", "prompt": prompt, "stream": False, "options": {"num_predict": 4}}
        return httpx.post(f"{self.url}/api/generate", json=body, timeout=DEADLINE)

    def assert_serves(self) -> None:
        """Asks for one such answer. Where it does not come, the test tells what came instead, and the server's log."""
        reply = self.generate()
        assert reply.status_code == 200, f"{reply.status_code} {reply.text}\n{self.log}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit status after a signal."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextlib.contextmanager
def short_folder() -> Generator[Path]:
    """A temporary folder with a path short enough for unix sockets, which pytest's tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="remuda-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


StartServer = Callable[..., Server]


def environment(folder: Path, changes: Mapping[str, str]) -> dict[str, str]:
    """What a server is started with: a free port and folders below `folder`, and `changes` to that."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "REMUDA_"))}
    own = {
        "OLLAMA_HOST": "127.0.0.1:0",
        "OLLAMA_MODELS": str(folder / "models"),
        "REMUDA_RUN_DIR": str(folder / "run"),
    }
    return {**inherited, **own, **changes}


def start_server(folder: Path, changes: Mapping[str, str]) -> Server:
    """Starts a server and returns when it says that it is ready."""
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


def end_server(server: Server) -> None:
    """Stops a server that may be dead already."""
    if server.process.poll() is None:
        server.stop()
    if server.process.stdout is not None:
        server.process.stdout.close()


def until(condition: Callable[[], T], seconds: float = DEADLINE) -> T:
    """Waits until `condition` gives something true, which is returned."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"still {result!r} after {seconds} s")
        time.sleep(0.02)
    return result


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not yet reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
