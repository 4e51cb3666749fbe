"""What lies in a models folder under the name of a file, but is none, costs one error and no waiting thread."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.ollama_layout import OllamaFolder

from remuda.settings import Settings
from store.errors import CorruptModelError, ModelNotFoundError
from store.library import Library

NAME = "registry.ollama.ai/library/x/latest"
Plant = Callable[[Path, Path], None]


def plant_fifo(path: Path, outside: Path) -> None:
    path.rename(outside)
    os.mkfifo(path)


def plant_device(path: Path, outside: Path) -> None:
    path.rename(outside)
    path.symlink_to("/dev/zero")


def plant_link_out(path: Path, outside: Path) -> None:
    path.rename(outside)
    path.symlink_to(outside)


PLANTS = pytest.mark.parametrize("plant", [plant_fifo, plant_device, plant_link_out])


@pytest.fixture
def folder(tmp_path: Path) -> OllamaFolder:
    return OllamaFolder(tmp_path / "models")


@pytest.fixture
def library(folder: OllamaFolder, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("OLLAMA_MODELS", str(folder.root))
    return Library(Settings())


def install(folder: OllamaFolder) -> dict[str, Path]:
    """Installs `x` and returns the paths of its blobs by their kind."""
    layers = {
        "weights": folder.weights(),
        "system": folder.layer("system", b"be brief"),
    }
    folder.install(NAME, *layers.values())
    return {kind: folder.root / "blobs" / layer["digest"].replace(":", "-") for kind, layer in layers.items()}


@PLANTS
@pytest.mark.parametrize("kind", ["weights", "system"])
async def test_a_blob_that_is_no_file_of_its_folder_is_missing(
    folder: OllamaFolder, library: Library, tmp_path: Path, plant: Plant, kind: str
) -> None:
    path = install(folder)[kind]
    plant(path, tmp_path / "outside")
    with pytest.raises(CorruptModelError, match="is missing"):
        await library.resolve("x")


@PLANTS
async def test_a_manifest_that_is_no_file_of_its_folder_is_not_found_and_not_listed(
    folder: OllamaFolder, library: Library, tmp_path: Path, plant: Plant
) -> None:
    install(folder)
    path = folder.root / "manifests" / NAME
    plant(path, tmp_path / "outside")
    with pytest.raises(ModelNotFoundError):
        await library.resolve("x")
    assert await library.summaries() == []


async def test_folders_that_lie_on_another_disk_may_be_links(
    folder: OllamaFolder, library: Library, tmp_path: Path
) -> None:
    install(folder)
    for name in ("blobs", "manifests"):
        (folder.root / name).rename(tmp_path / name)
        (folder.root / name).symlink_to(tmp_path / name)
    assert [model.name for model in await library.summaries()] == ["x:latest"]
    assert (await library.resolve("x")).model_path
