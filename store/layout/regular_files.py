"""Opening files of the models folder: regular ones alone, and none that a link leads out of their folder."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


class IrregularFileError(OSError):
    """The path names a folder, a FIFO, a socket or a device, or it leads out of its folder."""


def is_regular_within(path: Path, folder: Path) -> bool:
    """Whether `path` names a regular file that lies in `folder`, links included. `folder` itself may be a link."""
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def open_regular(path: Path, folder: Path) -> BinaryIO:
    """Opens a regular file that lies in `folder`. Never waits. Raises IrregularFileError, FileNotFoundError."""
    if not is_regular_within(path, folder):
        path.stat()  # raises FileNotFoundError where there is nothing at all
        raise IrregularFileError(f"{path} is no regular file of {folder}")
    # it may have become a FIFO since: to open one without O_NONBLOCK waits for a writer
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise IrregularFileError(f"{path} is no regular file")
    return file
