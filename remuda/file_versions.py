"""Tells one version of a file from another without reading it."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file as it is at a time. A file that is replaced has another inode, one that is written to another time."""

    path: Path
    inode: int
    size: int
    mtime_ns: int


def version_of(path: Path, file: int | None = None) -> FileVersion:
    """The version at `path`, or that of an open descriptor of the file. Raises OSError."""
    status = os.stat(path if file is None else file)
    return FileVersion(path, status.st_ino, status.st_size, status.st_mtime_ns)


def is_current(version: FileVersion) -> bool:
    """Whether the file is still that version."""
    try:
        return version_of(version.path) == version
    except OSError:
        return False
