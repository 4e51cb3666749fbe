"""Names and digests: what is one, and that none of them leads out of the store."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import InvalidNameError
from store.layout.blobs import Blobs
from store.layout.digests import InvalidDigestError, parse_digest
from store.layout.names import Name, canonicalise, parse_name

STORE = Path("/store")
HEX = "0123456789abcdef" * 4

# text that looks like a name or a digest, with everything in it that could lead elsewhere
hostile = st.one_of(
    st.text(),
    st.text(alphabet="aZ0_-.:/\\~%@\x00\n ", max_size=40),
    st.lists(st.sampled_from(["..", ".", "", "a", "/", ":", "x:y", "sha256", HEX, "\x00"]), max_size=9).map("/".join),
)


@pytest.mark.parametrize(
    ("text", "shortest", "full"),
    [
        ("cria", "cria:latest", "registry.ollama.ai/library/cria:latest"),
        ("cria:8b-Q4_K_M", "cria:8b-Q4_K_M", "registry.ollama.ai/library/cria:8b-Q4_K_M"),
        ("me/cria", "me/cria:latest", "registry.ollama.ai/me/cria:latest"),
        ("hf.co/me/cria:Q8_0", "hf.co/me/cria:Q8_0", "hf.co/me/cria:Q8_0"),
        ("localhost:5000/me/cria", "localhost:5000/me/cria:latest", "localhost:5000/me/cria:latest"),
        ("https://registry.ollama.ai/library/cria:1", "cria:1", "registry.ollama.ai/library/cria:1"),
        ("Registry.Ollama.AI/Library/cria", "cria:latest", "Registry.Ollama.AI/Library/cria:latest"),
        ("_a", "_a:latest", "registry.ollama.ai/library/_a:latest"),
    ],
)
def test_parses_names_as_ollama_does(text: str, shortest: str, full: str) -> None:
    name = parse_name(text)
    assert (name.shortest, name.full) == (shortest, full)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "cria:", ":8b", "/cria", "me/", "hf.co/cria", "a//b", "a/b/c/d", "cria@sha256:abc", "..", "../cria"),
        *("-a", ".a", "a b", "a:b:c", "cria:..", "é", "a" * 81, "a\n", "h" * 351 + "/n/m"),
    ],
)
def test_refuses_what_is_no_name(text: str) -> None:
    with pytest.raises(InvalidNameError, match="invalid model name"):
        parse_name(text)


def test_each_part_takes_the_installed_spelling_by_itself() -> None:
    installed = [parse_name("Me/Llama:Q4_K_M"), parse_name("other:8b")]
    assert canonicalise(parse_name("me/OTHER:q4_k_m"), installed) == parse_name("Me/other:Q4_K_M")


@given(hostile)
def test_no_name_leads_out_of_the_store(text: str) -> None:
    try:
        path = parse_name(text).manifest_path(STORE)
    except InvalidNameError:
        return
    assert_file_inside(path, depth=4)


@given(hostile, hostile, hostile, hostile)
def test_no_parts_of_a_name_lead_out_of_the_store(host: str, namespace: str, model: str, tag: str) -> None:
    try:
        path = Name(host, namespace, model, tag).manifest_path(STORE)
    except InvalidNameError:
        return
    assert_file_inside(path, depth=4)


@given(st.one_of(hostile, hostile.map("sha256:".__add__), hostile.map(lambda text: f"sha256:{HEX}{text}")))
def test_no_digest_leads_out_of_the_blobs(text: str) -> None:
    try:
        path = Blobs(STORE).path(parse_digest(text))
    except InvalidDigestError:
        return
    assert_file_inside(path, depth=1)


def assert_file_inside(path: Path, depth: int) -> None:
    parts = path.relative_to(STORE).parts
    assert len(parts) == depth
    assert not any(part in {"", ".", ".."} or "/" in part or "\x00" in part for part in parts)


@pytest.mark.parametrize("separator", [":", "-"])
def test_digests_have_two_spellings_and_either_case(separator: str) -> None:
    assert parse_digest(f"sha256{separator}{HEX.upper()}").file_name == f"sha256-{HEX}"


@pytest.mark.parametrize("text", [HEX, f"sha512:{HEX}", f"sha256:{HEX}0", f"sha256:{HEX[:-1]}g", f"sha256:{HEX}\n", ""])
def test_refuses_what_is_no_digest(text: str) -> None:
    with pytest.raises(InvalidDigestError, match="invalid digest format"):
        parse_digest(text)
