"""The reader of GGUF headers: what it reads, and what it refuses."""

import struct
import tracemalloc
from collections import Counter
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ollama_layout import JINJA, write_gguf

from store.gguf.header import MAX_PAIRS, MAX_TENSORS, Gguf, read_gguf
from store.gguf.metadata import MAX_TEXT
from store.gguf.reader import WINDOW, HeaderReader, InvalidGgufError
from store.gguf.tensor_types import TENSOR_TYPES
from store.gguf.vocabulary import MAX_MERGES, MAX_TOKENS

HEADER = struct.Struct("<4sIQQ")
LITTLE_MEMORY = 16 << 20
PADDING = 32


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def make_file(folder: Path, body: bytes, *, version: int = 3, tensors: int = 0, pairs: int = 0) -> Path:
    path = folder / "made.gguf"
    path.write_bytes(HEADER.pack(b"GGUF", version, tensors, pairs) + body)
    return path


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def test_reads_metadata_and_tensors_of_a_valid_file(tiny: Path) -> None:
    header = read_gguf(tiny)
    assert header.architecture == "llama"
    assert header.text("tokenizer.chat_template") == JINJA
    assert header.integer("llama.context_length") == 512
    assert header.metadata["llama.attention.layer_norm_rms_epsilon"] == 1e-5
    assert [(entry.name, entry.type.name, entry.shape) for entry in header.tensors] == [
        ("norm.weight", "F32", (64,)),
        ("layer.weight", "Q8_0", (64, 4)),
    ]
    assert header.parameter_count == 64 + 256


def test_leaves_arrays_unread_unless_asked(tiny: Path) -> None:
    assert read_gguf(tiny).metadata["tokenizer.ggml.tokens"] is None
    full = read_gguf(tiny, arrays=True).metadata
    assert full["tokenizer.ggml.tokens"] == [f"token {number}" for number in range(8)]
    scores = full["tokenizer.ggml.scores"]
    assert isinstance(scores, np.ndarray)
    assert scores.tolist() == pytest.approx([number / 10 for number in range(8)])


def test_agrees_with_the_gguf_package_on_every_tensor_type() -> None:
    own = {number: (kind.block, kind.size) for number, kind in TENSOR_TYPES.items()}
    theirs = {kind.value: size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    differing = {number for number in own.keys() & theirs.keys() if own[number] != theirs[number]}
    assert differing <= {gguf.GGMLQuantizationType.Q8_1.value}  # ggml itself says 36 bytes, the package 40
    assert theirs.keys() <= own.keys()


def test_reads_what_follows_a_large_vocabulary(tmp_path: Path) -> None:
    count = 400_000
    words = b"".join(text(f"t{number}") for number in range(count))
    body = pair("general.architecture", 8, text("llama"))
    body += pair("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, count) + words)
    body += pair("last", 4, struct.pack("<I", 7))
    header = read_gguf(make_file(tmp_path, body, pairs=3))
    assert header.integer("last") == 7


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "truncated"),
        (b"GGU", "truncated"),
        (b"GGUF", "truncated"),
        (b"GGML" + bytes(64), "no GGUF"),
        (HEADER.pack(b"GGUF", 1, 0, 0), "version 1"),
        (HEADER.pack(b"GGUF", 4, 0, 0), "version 4"),
        (struct.pack(">4sIQQ", b"GGUF", 3, 0, 0), "big-endian"),
        (HEADER.pack(b"GGUF", 3, 1 << 63, 1 << 63) + bytes(64), "more entries"),
        (HEADER.pack(b"GGUF", 3, 0, 1) + struct.pack("<Q", 1 << 62) + bytes(64), "too long"),
    ],
)
def test_refuses_what_is_no_supported_gguf(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(InvalidGgufError, match=reason) as caught:
        read_gguf(path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (pair("a", 9, struct.pack("<IQ", 4, 1 << 40)), "too long"),
        (pair("a", 9, struct.pack("<IQ", 8, 1 << 20)), "truncated"),
        (pair("a", 9, struct.pack("<IQ", 9, 1)) + bytes(32), "unknown type"),
        (pair("a", 13, bytes(8)), "unknown type"),
        (pair("general.alignment", 4, struct.pack("<I", 0)), "power of two"),
        (pair("general.alignment", 4, struct.pack("<I", 24)), "power of two"),
        (pair("general.alignment", 8, text("32")), "wrong type"),
        (pair("general.alignment", 10, struct.pack("<Q", 32)), "wrong type"),
        (pair("general.architecture", 4, bytes(4)), "wrong type"),
        (pair("adapter.lora.alpha", 12, bytes(8)), "wrong type"),
        (pair("", 4, bytes(4)), "empty"),
        (
            pair("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, MAX_TOKENS + 1)) + bytes(8 * MAX_TOKENS + 8),
            "allowed",
        ),
        (
            pair("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, MAX_MERGES + 1)) + bytes(8 * MAX_MERGES + 8),
            "allowed",
        ),
    ],
)
def test_refuses_hostile_metadata(tmp_path: Path, body: bytes, reason: str) -> None:
    with pytest.raises(InvalidGgufError, match=reason):
        read_gguf(make_file(tmp_path, body, pairs=1), arrays=True)


def test_refuses_a_key_that_comes_twice(tmp_path: Path) -> None:
    body = pair("a", 4, bytes(4)) * 2
    with pytest.raises(InvalidGgufError, match="twice"):
        read_gguf(make_file(tmp_path, body, pairs=2))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (tensor("a", (1 << 62, 1 << 62), 0, 0), "beyond the end"),
        (tensor("a", ((1 << 64) - 1,), 0, 0), "impossible shape"),
        (tensor("a", (33,), 8, 0), "impossible shape"),
        (tensor("a", (4, 1, 1, 1, 1), 0, 0), "5 dimensions"),
        (tensor("a", (4,), 4, 0), "unknown type"),
        (tensor("a", (4,), 0, 1), "not aligned"),
        (tensor("a", (4,), 0, (1 << 64) - 32), "beyond the end"),
    ],
)
def test_refuses_tensors_that_the_file_cannot_hold(tmp_path: Path, entry: bytes, reason: str) -> None:
    with pytest.raises(InvalidGgufError, match=reason):
        read_gguf(make_file(tmp_path, entry + bytes(128), tensors=1))


def test_refuses_every_truncation(tiny: Path, tmp_path: Path) -> None:
    content = tiny.read_bytes()
    path = tmp_path / "cut.gguf"
    for length in range(0, len(content) - PADDING, 7):
        path.write_bytes(content[:length])
        with pytest.raises(InvalidGgufError):
            read_gguf(path)


@pytest.fixture
def strings_read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many strings have been read or skipped, by the method."""
    counts: Counter[str] = Counter()

    def count_calls(method: str) -> None:
        original = getattr(HeaderReader, method)

        def counting(self: HeaderReader, *arguments: int) -> object:
            counts[method] += arguments[0] if len(arguments) > 1 else 1
            return original(self, *arguments)

        monkeypatch.setattr(HeaderReader, method, counting)

    for method in ("string", "strings", "skip_strings"):
        count_calls(method)
    return counts


@pytest.mark.parametrize(("pairs", "tensors"), [(MAX_PAIRS + 1, 0), (0, MAX_TENSORS + 1)])
def test_refuses_too_many_entries_without_reading_one(
    tmp_path: Path, strings_read: Counter[str], pairs: int, tensors: int
) -> None:
    path = make_file(tmp_path, bytes(24 * (pairs + tensors)), pairs=pairs, tensors=tensors)
    with pytest.raises(InvalidGgufError, match=f"{pairs + tensors} .*allowed"):
        read_gguf(path)
    assert not strings_read


def test_refuses_too_many_strings_before_they_are_read(
    tmp_path: Path, strings_read: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.gguf.metadata.MAX_STRINGS", 1000)
    many = struct.pack("<IQ", 8, 400) + bytes(8 * 400)
    with pytest.raises(InvalidGgufError, match="more than 1000 strings"):
        read_gguf(make_file(tmp_path, pair("a", 9, many) + pair("b", 9, many) + pair("c", 9, many), pairs=3))
    assert strings_read["skip_strings"] == 800


@pytest.mark.parametrize(
    ("key", "most"), [("tokenizer.ggml.tokens", MAX_TOKENS), ("tokenizer.ggml.merges", MAX_MERGES)]
)
def test_refuses_a_vocabulary_that_is_too_large_before_it_is_read(
    tmp_path: Path, strings_read: Counter[str], key: str, most: int
) -> None:
    body = pair(key, 9, struct.pack("<IQ", 8, most + 1) + bytes(8 * most + 8))
    with pytest.raises(InvalidGgufError, match=f"at most {most} are allowed"):
        read_gguf(make_file(tmp_path, body, pairs=1))
    assert strings_read == {"string": 1}


def test_refuses_more_text_than_it_would_keep(tmp_path: Path) -> None:
    half = pair("a", 8, text("x" * (MAX_TEXT // 2))) + pair("b", 8, text("x" * (MAX_TEXT // 2)))
    with pytest.raises(InvalidGgufError, match="a string is too long"):
        read_gguf(make_file(tmp_path, half, pairs=2))


def test_refuses_a_name_that_llama_cpp_refuses(tmp_path: Path) -> None:
    with pytest.raises(InvalidGgufError, match="64 bytes where at most 63 are allowed"):
        read_gguf(make_file(tmp_path, tensor("x" * 64, (4,), 0, 0) + bytes(128), tensors=1))


@pytest.mark.parametrize("longest", [1, 700, WINDOW - 5])
def test_strings_that_cross_the_window_are_read_whole(tmp_path: Path, longest: int) -> None:
    words = [str(number % 10) * (number * 7919 % longest + 1) for number in range(3 * WINDOW // longest % 20000 + 3)]
    body = pair("words", 9, struct.pack("<IQ", 8, len(words)) + b"".join(map(text, words)))
    body += pair("last", 4, struct.pack("<I", 7))
    path = make_file(tmp_path, body, pairs=2)
    assert read_gguf(path, arrays=True).metadata["words"] == words
    assert read_gguf(path).integer("last") == 7


def is_sound(header: Gguf, size: int) -> bool:
    return all(entry.offset >= 0 and entry.offset + entry.size <= size for entry in header.tensors)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_header_is_refused_or_sound_without_large_allocations(
    tiny: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(tiny.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        patch = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.just(b"\xff" * 8), st.just(bytes(8))))
        at = data.draw(st.integers(0, len(content) - len(patch)))
        content[at : at + len(patch)] = patch
    path = tmp_path / "mutated.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        assert is_sound(read_gguf(path, arrays=data.draw(st.booleans())), len(content))
    except InvalidGgufError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < LITTLE_MEMORY
