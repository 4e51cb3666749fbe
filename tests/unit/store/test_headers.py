"""How often headers are read, and by how many threads."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.ollama_layout import write_gguf

from remuda.file_versions import FileVersion, version_of
from store import headers
from store.gguf.header import Gguf
from store.gguf.reader import InvalidGgufError
from store.headers import Headers

DEADLINE_S = 20.0
Read = Callable[[Path], Gguf]


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths of all files that have been read."""
    paths: list[Path] = []

    def count(original: Read) -> Read:
        def counting(path: Path) -> Gguf:
            paths.append(path)
            return original(path)

        return counting

    monkeypatch.setattr(headers, "read_gguf", count(headers.read_gguf))
    return paths


@pytest.fixture
def healthy(tmp_path: Path) -> FileVersion:
    return version_of(write_gguf(tmp_path / "healthy.gguf"))


@pytest.fixture
def hostile(tmp_path: Path) -> FileVersion:
    (tmp_path / "hostile.gguf").write_bytes(b"GGUF garbage")
    return version_of(tmp_path / "hostile.gguf")


async def test_a_crowd_reads_a_file_once(healthy: FileVersion, readings: list[Path]) -> None:
    reader = Headers(threads=4, remembered=8)
    answers = await asyncio.gather(*(reader.read(healthy) for _ in range(10)))
    assert len({id(answer) for answer in answers}) == 1
    assert await reader.read(healthy) is answers[0]
    assert readings == [healthy.path]


async def test_a_refusal_is_remembered_until_the_file_changes(
    hostile: FileVersion, healthy: FileVersion, readings: list[Path]
) -> None:
    reader = Headers(threads=1, remembered=8)
    crowd = await asyncio.gather(*(reader.read(hostile) for _ in range(10)), return_exceptions=True)
    for refusal in crowd:
        assert isinstance(refusal, InvalidGgufError)
    with pytest.raises(InvalidGgufError, match="not supported"):
        await reader.read(hostile)
    assert readings == [hostile.path]
    hostile.path.write_bytes(healthy.path.read_bytes())
    assert (await reader.read(version_of(hostile.path))).architecture == "llama"


async def test_remembers_as_many_as_it_may(healthy: FileVersion, hostile: FileVersion, readings: list[Path]) -> None:
    reader = Headers(threads=1, remembered=1)
    await reader.read(healthy)
    with pytest.raises(InvalidGgufError):
        await reader.read(hostile)
    await reader.read(healthy)
    assert readings == [healthy.path, hostile.path, healthy.path]


async def test_a_missing_file_is_not_remembered(healthy: FileVersion, readings: list[Path]) -> None:
    reader = Headers(threads=1, remembered=8)
    content = healthy.path.read_bytes()
    healthy.path.unlink()
    with pytest.raises(FileNotFoundError):
        await reader.read(healthy)
    healthy.path.write_bytes(content)
    await reader.read(healthy)
    assert len(readings) == 2


async def test_who_leaves_takes_nothing_from_the_others(healthy: FileVersion, readings: list[Path]) -> None:
    reader = Headers(threads=1, remembered=8)
    first, second = (asyncio.create_task(reader.read(healthy)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).architecture == "llama"
    assert len(readings) == 1


async def test_slow_files_hold_up_their_own_threads_alone(
    tmp_path: Path, healthy: FileVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Headers(threads=2, remembered=8)
    header = await reader.read(healthy)
    goes_on, running, most = threading.Event(), 0, 0
    lock = threading.Lock()

    def slow(path: Path) -> Gguf:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        goes_on.wait(DEADLINE_S)
        with lock:
            running -= 1
        return header

    monkeypatch.setattr("store.headers.read_gguf", slow)
    slow_files = [FileVersion(tmp_path / str(number), 0, 0, 0) for number in range(8)]
    waiting = [asyncio.create_task(reader.read(version)) for version in slow_files]
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.read(healthy) is header
        await asyncio.gather(*(asyncio.to_thread(int) for _ in range(32)))  # the loop's own threads are free
        assert not any(task.done() for task in waiting)
        goes_on.set()
        await asyncio.gather(*waiting)
    assert most == 2
