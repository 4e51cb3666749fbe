"""How environment variables become settings."""

import subprocess
import sys
from pathlib import Path

import pytest

from remuda.durations import NANOSECONDS
from remuda.settings import InvalidSetting, ListenAddress, Settings, changed_settings, context_tier

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port"),
    [
        ("127.0.0.1:11434", "http", "127.0.0.1", 11434),
        ("example.com", "http", "example.com", 11434),
        ("example.com:56789", "http", "example.com", 56789),
        (":8080", "http", "", 8080),
        ("http://example.com", "http", "example.com", 80),
        ("https://example.com", "https", "example.com", 443),
        ("https://example.com:8443/", "https", "example.com", 8443),
        ("[::1]:8080", "http", "::1", 8080),
        ("::1", "http", "::1", 11434),
        ("0.0.0.0", "http", "0.0.0.0", 11434),
        ("example.com:99999", "http", "example.com", 11434),
        ("example.com:port", "http", "example.com", 11434),
    ],
)
def test_an_address_is_read_in_all_of_ollamas_forms(text: str, scheme: str, host: str, port: int) -> None:
    address = ListenAddress.parse(text)
    assert (address.scheme, address.host, address.port) == (scheme, host, port)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("0.0.0.0:1", "http://127.0.0.1:1"),
        (":1", "http://127.0.0.1:1"),
        ("[::]:1", "http://[::1]:1"),
        ("[fe80::1]:1", "http://[fe80::1]:1"),
        ("https://example.com/llm/", "https://example.com:443/llm"),
    ],
)
def test_a_client_calls_the_loopback_address_of_a_wildcard(text: str, url: str) -> None:
    assert ListenAddress.parse(text).client_url == url


def test_a_value_may_be_quoted_and_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", " '/data/models' ")
    assert Settings().models == Path("/data/models")


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("5m", 300), ("-1", -1), ("1h30m", 5400)])
def test_a_keep_alive_is_a_duration_or_a_number_of_seconds(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: int
) -> None:
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", text)
    assert Settings().keep_alive_ns == seconds * NANOSECONDS["s"]


def test_an_unreadable_number_warns_and_gives_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MAX_QUEUE", "many")
    with pytest.warns(InvalidSetting, match="OLLAMA_MAX_QUEUE"):
        assert Settings().max_queue == 512


@pytest.mark.parametrize(("text", "value"), [("0", False), ("false", False), ("1", True), ("garbage", True)])
def test_an_unreadable_boolean_is_true(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("OLLAMA_NO_CLOUD", text)
    assert Settings().no_cloud is value


@pytest.mark.parametrize(("text", "level"), [("1", 1), ("true", 1), ("2", 2), ("0", 0), ("false", 0), ("-1", -1)])
def test_the_debug_level_is_a_number_or_a_boolean(monkeypatch: pytest.MonkeyPatch, text: str, level: int) -> None:
    monkeypatch.setenv("OLLAMA_DEBUG", text)
    assert Settings().debug == level


def test_only_what_differs_from_the_defaults_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MAX_QUEUE", "512")
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", "10m")
    assert changed_settings(Settings()) == ["OLLAMA_KEEP_ALIVE=10m"]


@pytest.mark.parametrize(("gib", "tokens"), [(0, 4096), (22, 4096), (23, 32768), (46, 32768), (47, 262144)])
def test_the_default_context_grows_with_the_gpus(gib: int, tokens: int) -> None:
    assert context_tier(gib << 30) == tokens


def test_the_settings_page_is_up_to_date() -> None:
    script = ROOT / "scripts" / "settings_table.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert (ROOT / "docs" / "settings.md").read_text() == done.stdout
