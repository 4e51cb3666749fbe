"""Blobs and manifests on disk."""

import hashlib
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ollama_layout import OllamaFolder

from store.errors import CorruptModelError
from store.layout.blobs import Blobs
from store.layout.digests import Digest, parse_digest
from store.layout.manifests import Layer, LayerType, Manifest, Manifests
from store.layout.names import parse_name

LIMIT = 1 << 20
NAME = "registry.ollama.ai/library/x/latest"


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    blobs = Blobs(tmp_path / "blobs")
    blobs.prepare()
    return blobs


def digest_of(content: bytes) -> Digest:
    return Digest(hashlib.sha256(content).hexdigest())


def test_new_content_lies_under_its_digest_and_leaves_no_temporary_file(blobs: Blobs) -> None:
    content = bytes(range(256)) * 8000
    blob = blobs.add(io.BytesIO(content))
    assert (blob.digest, blob.size) == (digest_of(content), len(content))
    assert [path.name for path in blobs.folder.iterdir()] == [blob.digest.file_name]
    assert blobs.path(blob.digest).read_bytes() == content


def test_existing_content_is_reused(blobs: Blobs) -> None:
    first = blobs.path(blobs.add(io.BytesIO(b"same")).digest).stat().st_ino
    assert blobs.path(blobs.add(io.BytesIO(b"same")).digest).stat().st_ino == first
    assert len(list(blobs.folder.iterdir())) == 1


def test_a_source_that_fails_leaves_nothing(blobs: Blobs) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        blobs.add(Broken())  # type: ignore[arg-type]
    assert list(blobs.folder.iterdir()) == []


def test_blobs_of_the_old_spelling_are_renamed_at_the_start(blobs: Blobs) -> None:
    digest = digest_of(b"old")
    (blobs.folder / str(digest)).write_bytes(b"old")
    (blobs.folder / "sha256:garbage").write_bytes(b"kept as it is")
    blobs.prepare()
    assert blobs.read(digest, LIMIT) == b"old"
    assert (blobs.folder / "sha256:garbage").exists()


def test_small_reads_are_bounded(blobs: Blobs) -> None:
    digest = blobs.add(io.BytesIO(b"0123456789")).digest
    assert blobs.read(digest, 10) == b"0123456789"
    assert blobs.read(digest, 8) == b"012345678"  # one byte more tells that there is more


def test_manifests_are_written_byte_for_byte_as_ollama_does(tmp_path: Path) -> None:
    folder = OllamaFolder(tmp_path / "models")
    layers = [folder.layer("model", b"weights", **{"from": "base:latest"}), folder.layer("params", b"{}")]
    id_ = folder.install(NAME, *layers)
    manifests = Manifests(folder.root / "manifests", LIMIT)
    installed = manifests.find(parse_name("x"))
    manifests.write(parse_name("y"), installed.manifest)
    copied = manifests.find(parse_name("y"))
    assert installed.digest.hex == copied.digest.hex == id_


def test_a_manifest_is_replaced_in_one_step(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path, LIMIT)
    layer = Layer(media_type=LayerType.MODEL, digest=digest_of(b""), size=0)
    for count in range(3):
        manifests.write(parse_name("x"), Manifest(config=layer, layers=[layer] * count))
    assert len(manifests.find(parse_name("x")).manifest.layers) == 2
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"schemaVersion":2,"config":null,"layers":null}',
        json.dumps(
            {"schemaVersion": 2, "config": {"mediaType": "x", "digest": "../../etc/passwd", "size": 1}}
        ).encode(),
        b"[" * 100_000,
        b" " * (LIMIT + 1),
    ],
)
def test_invalid_manifests_are_refused_and_left_out_of_listings(tmp_path: Path, content: bytes) -> None:
    folder = OllamaFolder(tmp_path / "models")
    folder.write_manifest(NAME, content)
    folder.install("registry.ollama.ai/library/good/latest")
    manifests = Manifests(folder.root / "manifests", LIMIT)
    with pytest.raises(CorruptModelError):
        manifests.find(parse_name("x"))
    assert [installed.name.shortest for installed in manifests.all()] == ["good:latest"]


def test_an_invalid_manifest_is_described_without_its_validators_marks(tmp_path: Path) -> None:
    folder = OllamaFolder(tmp_path / "models")
    folder.write_manifest(NAME, b'{"schemaVersion":2,"config":{"mediaType":"x","digest":7,"size":1},"layers":[]}')
    with pytest.raises(CorruptModelError, match=r"is invalid: a digest is a string$"):
        Manifests(folder.root / "manifests", LIMIT).find(parse_name("x"))


def test_stray_files_are_left_out_of_listings(tmp_path: Path) -> None:
    folder = OllamaFolder(tmp_path / "models")
    for stray in (".DS_Store", "host/.DS_Store", "registry.ollama.ai/library/x/.DS_Store", "a/b/c/d/e"):
        folder.write_manifest(stray, b"")
    assert Manifests(folder.root / "manifests", LIMIT).all() == []


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.floats()),
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(st.text(max_size=9), children, max_size=3)
    ),
    max_leaves=8,
)
layer_like = st.fixed_dictionaries(
    {"mediaType": st.sampled_from(list(LayerType))},
    optional={"digest": json_values, "size": json_values, "from": json_values, "name": json_values},
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=st.one_of(json_values, layer_like), layers=st.one_of(json_values, st.lists(layer_like, max_size=3)))
def test_no_manifest_names_a_blob_outside_the_store(tmp_path: Path, config: object, layers: object) -> None:
    path = tmp_path / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schemaVersion": 2, "config": config, "layers": layers}))
    try:
        manifest = Manifests(tmp_path, LIMIT).find(parse_name("x")).manifest
    except CorruptModelError:
        return
    blobs = Blobs(tmp_path / "blobs")
    for layer in [manifest.config, *manifest.layers]:
        assert blobs.path(layer.digest).parent == blobs.folder
        assert parse_digest(str(layer.digest)) == layer.digest
