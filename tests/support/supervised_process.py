"""A real process for tests of the supervisor: `supervised_process.py TARGET MODE`.

Modes: `serves`; `stubborn` (ignores SIGTERM); `mute` (never reports health); `exits` (with status 3 at once);
`parent` (serves, starts a child of its own and writes the child's pid beside its socket).
"""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from remuda.endpoints import socket_path
from remuda.process import run_process
from remuda.rpc import start_server
from remuda.settings import Settings


async def main(settings: Settings, stop: asyncio.Event) -> None:
    target, mode = sys.argv[1:]
    if mode == "exits":
        sys.exit(3)
    if mode == "parent":
        spawn_grandchild(socket_path(target).with_suffix(".pid"))
    if mode == "stubborn":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
    server = None if mode == "mute" else await start_server(target, lambda _: None)
    await stop.wait()
    if server is not None:
        await server.stop(None)


def spawn_grandchild(pid_file: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    pid_file.write_text(str(child.pid))


if __name__ == "__main__":
    run_process("supervised", main)
