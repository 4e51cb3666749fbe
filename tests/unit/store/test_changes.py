"""Who is told of which changes on disk. Nothing is looked at by time here: `changed` begins each look."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from pathlib import Path

import pytest

from remuda.file_versions import FileVersion, version_of
from store import changes as module
from store.changes import Changes

FOR_EVER_S = 3600.0
DEADLINE_S = 20.0


@pytest.fixture
async def changes() -> AsyncGenerator[Changes]:
    changes = Changes(FOR_EVER_S)
    running = asyncio.create_task(changes.run())
    yield changes
    running.cancel()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"content")
    return tmp_path / "file"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    (tmp_path / "other").write_bytes(b"content")
    return tmp_path / "other"


async def next_names(watch: AsyncGenerator[set[str]]) -> set[str]:
    async with asyncio.timeout(DEADLINE_S):
        return await anext(watch)


def write(file: Path) -> None:
    file.write_bytes(b"more content")


def append(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")


def remove(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    """By a file that differs in nothing but its content."""
    status = file.stat()
    file.with_name("new").write_bytes(b"CONTENT")
    os.utime(file.with_name("new"), ns=(status.st_atime_ns, status.st_mtime_ns))
    file.with_name("new").replace(file)


@pytest.mark.parametrize("change", [write, remove, replace])
async def test_a_change_to_a_file_is_told_of_its_model_alone(
    changes: Changes, file: Path, other: Path, change: Callable[[Path], None]
) -> None:
    watch = changes.watch()
    assert await next_names(watch) == set()
    changes.observe("x", [version_of(other), version_of(file)])
    changes.observe("y", [version_of(other)])
    change(file)
    changes.changed()
    assert await next_names(watch) == {"x"}


async def test_all_who_watch_are_told(changes: Changes, file: Path) -> None:
    watches = [changes.watch() for _ in range(3)]
    for watch in watches:
        await next_names(watch)
    changes.observe("x", [version_of(file)])
    remove(file)
    changes.changed()
    for watch in watches:
        assert await next_names(watch) == {"x"}


async def test_a_change_before_somebody_watches_is_told_as_soon_as_one_does(changes: Changes, file: Path) -> None:
    changes.observe("x", [version_of(file)])
    remove(file)
    watch = changes.watch()
    assert await next_names(watch) == set()
    assert await next_names(watch) == {"x"}


async def test_a_model_that_is_resolved_again_is_told_of_again(changes: Changes, file: Path) -> None:
    watch = changes.watch()
    await next_names(watch)
    for _ in range(2):
        changes.observe("x", [version_of(file)])
        append(file)
        changes.changed()
        assert await next_names(watch) == {"x"}


async def test_a_model_that_is_looked_at_no_more_is_told_as_changed(
    changes: Changes, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_MODELS", 2)
    watch = changes.watch()
    await next_names(watch)
    for name in ("x", "y", "x", "z"):
        changes.observe(name, [version_of(file)])
    assert await next_names(watch) == {"y"}


async def test_files_are_looked_at_by_themselves_while_somebody_watches(file: Path) -> None:
    changes = Changes(0.01)
    running = asyncio.create_task(changes.run())
    watch = changes.watch()
    await next_names(watch)
    changes.observe("x", [version_of(file)])
    remove(file)
    assert await next_names(watch) == {"x"}
    running.cancel()


@pytest.mark.parametrize("error", [OSError("no"), RuntimeError("can't start new thread")])
async def test_a_look_that_fails_is_made_again(
    changes: Changes, file: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_PAUSE_S", 0.0)
    outdated, errors = module._outdated, [error]

    def failing(models: Mapping[str, Collection[FileVersion]]) -> set[str]:
        if errors:
            raise errors.pop()
        return outdated(models)

    monkeypatch.setattr(module, "_outdated", failing)
    watch = changes.watch()
    changes.observe("x", [version_of(file)])
    remove(file)
    assert await next_names(watch) == set()
    assert await next_names(watch) == {"x"}
