"""Content-addressed files, as Ollama lays them out: `blobs/sha256-<64 hex>`."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from remuda.file_versions import FileVersion, version_of
from store.errors import CorruptModelError
from store.layout.digests import Digest, InvalidDigestError, parse_digest
from store.layout.regular_files import IrregularFileError, is_regular_within, open_regular

CHUNK = 1 << 20
BLOB_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Blob:
    """A content in the store. `size` is in bytes."""

    digest: Digest
    size: int


class Blobs:
    """The folder of blobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Makes the folder, checks that it is writable, and renames blobs of the old spelling. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder):
            pass
        for old in self.folder.glob("sha256:*"):
            self._rename_old(old)

    def _rename_old(self, old: Path) -> None:
        try:
            new = self.path(parse_digest(old.name))
        except InvalidDigestError:
            return
        if not new.exists():
            old.rename(new)

    def path(self, digest: Digest) -> Path:
        """The path of a blob. A `Digest` holds only hex digits, so the path never leaves the folder."""
        return self.folder / digest.file_name

    def version(self, digest: Digest) -> FileVersion:
        """The present version of a blob. Raises CorruptModelError where it is missing or no regular file of this
        folder."""
        path = self.path(digest)
        if not is_regular_within(path, self.folder):
            raise missing(digest)
        try:
            return version_of(path)
        except FileNotFoundError:  # it has gone away since
            raise missing(digest) from None

    def read(self, digest: Digest, limit: int) -> bytes:
        """The first bytes of a blob, one more than `limit` where it has more. Raises CorruptModelError where it is
        missing or no regular file of this folder."""
        try:
            with open_regular(self.path(digest), self.folder) as file:
                return file.read(limit + 1)
        except (FileNotFoundError, IrregularFileError):
            raise missing(digest) from None

    def add(self, source: BinaryIO) -> Blob:
        """Stores the content of `source`, or reuses the blob with the same content."""
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="sha256-", delete=False) as target:
            temporary = Path(target.name)
            try:
                blob = _copy_hashing(source, target)
                self._keep(temporary, blob.digest)
            finally:
                temporary.unlink(missing_ok=True)
        return blob

    def _keep(self, temporary: Path, digest: Digest) -> None:
        final = self.path(digest)
        if final.is_file():
            os.utime(final)  # pruning spares recently touched blobs
            return
        temporary.chmod(BLOB_MODE)
        temporary.rename(final)
        sync_folder(self.folder)


def missing(digest: Digest) -> CorruptModelError:
    """The error for a model that has lost a blob."""
    return CorruptModelError(f"blob {digest} is missing")


def _copy_hashing(source: BinaryIO, target: IO[bytes]) -> Blob:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        target.write(chunk)
    target.flush()
    os.fsync(target.fileno())
    return Blob(Digest(digest.hexdigest()), size)


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
