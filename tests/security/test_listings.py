"""What a listing reads of models that anyone may have made."""

from collections import Counter
from pathlib import Path

import pytest
from support.ollama_layout import OllamaFolder

from remuda.settings import Settings
from store.errors import CorruptModelError
from store.layout.blobs import Blobs
from store.layout.digests import Digest
from store.layout.layers import LayerReader
from store.layout.manifests import Manifest
from store.library import Library
from store.template_choice import go_skills
from store.weights import MAX_FILES

NAME = "registry.ollama.ai/library/x/latest"
LIMIT = 100_000
OPEN_BRACES = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> OllamaFolder:
    return OllamaFolder(tmp_path / "models")


@pytest.fixture
def library(folder: OllamaFolder, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("OLLAMA_MODELS", str(folder.root))
    monkeypatch.setenv("REMUDA_MAX_METADATA", str(LIMIT))
    return Library(Settings())


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Bytes that were read of each blob, by its digest."""
    counts: Counter[str] = Counter()
    original = Blobs.read

    def counting(self: Blobs, digest: Digest, limit: int) -> bytes:
        content = original(self, digest, limit)
        counts[str(digest)] += len(content)
        return content

    monkeypatch.setattr(Blobs, "read", counting)
    return counts


async def test_a_listing_reads_no_layer_that_it_does_not_show(
    folder: OllamaFolder, library: Library, bytes_read: Counter[str]
) -> None:
    template = folder.layer("template", b"{{ .Prompt }}{{ .Tools }}")
    others = [folder.layer("license", str(number).encode() * 1000) for number in range(50)]
    others += [folder.layer("system", b"s" * LIMIT), folder.layer("params", b"{}"), folder.layer("messages", b"[]")]
    folder.install(NAME, folder.weights(), template, *others)
    [summary] = await library.summaries()
    assert list(summary.capabilities) == ["completion", "tools"]
    assert len(bytes_read) == 2  # the config and the template
    assert template["digest"] in bytes_read


async def test_a_model_is_served_without_reading_its_licenses(
    folder: OllamaFolder, library: Library, bytes_read: Counter[str]
) -> None:
    terms = folder.layer("license", b"MIT")
    folder.install(NAME, folder.weights(), terms)
    await library.resolve("x")
    assert terms["digest"] not in bytes_read


async def test_small_layers_have_one_budget_together(
    folder: OllamaFolder, library: Library, bytes_read: Counter[str]
) -> None:
    licenses = [folder.layer("license", str(number).encode() * (LIMIT // 10)) for number in range(200)]
    folder.install(NAME, folder.weights(), *licenses)
    with pytest.raises(CorruptModelError, match=f"too large: .* may take {LIMIT} bytes"):
        await library.show("x", verbose=False)
    assert bytes_read.total() <= LIMIT + 1
    assert (await library.resolve("x")).model_path


def test_layers_that_fill_the_budget_are_read(folder: OllamaFolder) -> None:
    blobs = Blobs(folder.root / "blobs")
    layers = [folder.layer("license", bytes([65 + number]) * 100) for number in range(10)]
    config = folder.layer("config", b"{}")
    manifest = Manifest.model_validate({"config": config, "layers": layers})
    assert len(LayerReader(blobs, manifest, 1002).shown().licenses) == 10
    with pytest.raises(CorruptModelError, match="may take 1001 bytes"):
        LayerReader(blobs, manifest, 1001).shown()


async def test_a_model_of_countless_files_is_refused(folder: OllamaFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(folder.root))
    adapter = {**folder.weights(), "mediaType": "application/vnd.ollama.image.adapter"}
    folder.install(NAME, folder.weights(), *[adapter] * MAX_FILES)
    with pytest.raises(CorruptModelError, match=f"{MAX_FILES + 1} GGUF files"):
        await Library(Settings()).resolve("x")


def test_a_template_of_open_braces_is_read_once() -> None:
    assert go_skills("{{" * OPEN_BRACES) == frozenset()
