"""Models that are split into several GGUF files, in a models folder where blobs have no telling names."""

import json
from pathlib import Path
from typing import Any

import gguf
import pytest
from support.ollama_layout import OllamaFolder, write_gguf
from support.split_models import split_gguf

from remuda.settings import Settings
from store.errors import CorruptModelError
from store.gguf.header import read_gguf
from store.gguf.reader import InvalidGgufError
from store.library import Library

NAME = "registry.ollama.ai/library/parts/latest"
Layer = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> OllamaFolder:
    return OllamaFolder(tmp_path / "models")


@pytest.fixture
def library(folder: OllamaFolder, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("OLLAMA_MODELS", str(folder.root))
    return Library(Settings())


@pytest.fixture
def parts(folder: OllamaFolder, tmp_path: Path) -> list[Layer]:
    """The layers of a model of two tensors in two files."""
    files = split_gguf(write_gguf(tmp_path / "tiny.gguf"), tensors_per_file=1)
    return [folder.layer("model", file.read_bytes()) for file in files]


def blob(layer: Layer) -> str:
    return layer["digest"].replace(":", "-")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_the_files_are_given_in_their_own_order_wherever_the_manifest_has_them(
    folder: OllamaFolder, library: Library, parts: list[Layer], order: tuple[int, int]
) -> None:
    folder.install(NAME, *(parts[place] for place in order))
    bundle = await library.resolve("parts")
    assert Path(bundle.model_path).name == blob(parts[0])
    assert [Path(path).name for path in bundle.split_paths] == [blob(parts[1])]


async def test_a_split_model_is_shown_as_the_whole_that_it_is(
    folder: OllamaFolder, library: Library, parts: list[Layer]
) -> None:
    folder.install(NAME, *parts)
    shown = await library.show("parts", verbose=True)
    info = json.loads(shown.model_info_json)
    assert info["general.parameter_count"] == 64 + 256
    assert not [key for key in info if key.startswith("split.")]
    assert {tensor.name for tensor in shown.tensors} == {"norm.weight", "layer.weight"}
    assert shown.modelfile.count("\nFROM ") == 2


@pytest.mark.parametrize("kept", [[0], [1], [0, 0], [1, 1], [0, 1, 1]])
async def test_an_incomplete_model_is_refused(
    folder: OllamaFolder, library: Library, parts: list[Layer], kept: list[int]
) -> None:
    folder.install(NAME, *(parts[place] for place in kept))
    with pytest.raises(CorruptModelError, match="split into 2 files"):
        await library.resolve("parts")


async def test_files_of_two_models_are_not_mixed(
    folder: OllamaFolder, library: Library, parts: list[Layer], tmp_path: Path
) -> None:
    whole = write_gguf(tmp_path / "whole.gguf")
    folder.install(NAME, parts[0], folder.layer("model", whole.read_bytes()))
    with pytest.raises(CorruptModelError, match="split into 2 files"):
        await library.resolve("parts")


async def test_a_further_file_that_is_damaged_is_refused(
    folder: OllamaFolder, library: Library, parts: list[Layer]
) -> None:
    folder.install(NAME, *parts)
    path = folder.root / "blobs" / blob(parts[1])
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(CorruptModelError, match="cannot be used"):
        await library.resolve("parts")


@pytest.mark.parametrize("key", ["split.no", "split.count"])
def test_a_number_of_another_type_is_refused(tmp_path: Path, key: str) -> None:
    writer = gguf.GGUFWriter(tmp_path / "bad.gguf", "llama")
    writer.add_uint32(key, 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(InvalidGgufError, match="wrong type"):
        read_gguf(tmp_path / "bad.gguf")
