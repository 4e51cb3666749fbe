"""The private folder of one running instance. It holds the instance's sockets and a lock for as long as it lives."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from remuda.endpoints import Endpoints, socket_path
from remuda.supervisor.errors import StartError

PREFIX = "i-"
LOCK = "lock"
PARENT_LOCK = ".remuda.lock"
UNIX_PATH_MAX = 107
"""Bytes of a unix socket's path, without the closing NUL (Linux)."""


@contextmanager
def open_instance(parent: Path, gateways: int) -> Generator[Endpoints]:
    """Creates a folder (mode 0700) under `parent` and removes it at the end. Folders of dead instances go first.

    Raises StartError when `parent` cannot be used safely, or is too long a path for unix sockets.
    """
    _check_length(parent, gateways)
    try:
        folder, lock = _create(_private_parent(parent))
    except OSError as error:
        raise StartError(
            f"the folder for sockets {parent} is not writable: {error.strerror} (REMUDA_RUN_DIR)"
        ) from error
    try:
        yield Endpoints(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _check_length(parent: Path, gateways: int) -> None:
    endpoints = Endpoints(parent / f"{PREFIX}{secrets.token_hex(4)}")
    addresses = (endpoints.scheduler, endpoints.uplink, endpoints.store, endpoints.gateway(gateways - 1))
    longest = max(len(os.fsencode(socket_path(address))) for address in addresses)
    if longest > UNIX_PATH_MAX:
        excess = longest - UNIX_PATH_MAX
        raise StartError(f"the path {parent} is {excess} bytes too long for unix sockets (REMUDA_RUN_DIR)")


def _private_parent(parent: Path) -> Path:
    """Creates `parent` where it is missing. Raises StartError if another user could replace what lies in it, or could
    have chosen it: in a folder that all may write to, a link is anybody's."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if parent.is_symlink():
        raise StartError(f"the folder for sockets {parent} is a symbolic link: set REMUDA_RUN_DIR to a folder")
    status = parent.stat()
    open_to_others = status.st_mode & 0o022 and not status.st_mode & 0o1000
    if status.st_uid not in (0, os.getuid()) or open_to_others:
        raise StartError(
            f"the folder for sockets {parent} is writable for other users: set REMUDA_RUN_DIR to another one"
        )
    return parent


def _create(parent: Path) -> tuple[Path, int]:
    """Returns the new folder and the descriptor that holds its lock."""
    with _exclusive(parent / PARENT_LOCK):
        _remove_dead(parent)
        folder = parent / f"{PREFIX}{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


@contextmanager
def _exclusive(path: Path) -> Generator[None]:
    """Holds the lock file at `path`. A folder without its own lock looks dead, so none is judged while one is made."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove_dead(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        if folder.lstat().st_uid == os.getuid() and not folder.is_symlink() and not _is_alive(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(folder: Path) -> bool:
    """Whether a supervisor holds the folder's lock. The kernel releases the lock of a killed process."""
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
