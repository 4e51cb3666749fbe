"""How environment variables become settings."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

from remuda.durations import NANOSECONDS
from remuda.listen_address import ListenAddress
from remuda.settings import Settings, changed_settings, context_tier
from remuda.settings.types import InvalidSetting


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


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]
SIGNED = {"keep_alive_ns", "load_timeout_ns", "debug"}


def value_of(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> Any:
    """The value of a setting whose variable holds `text`."""
    monkeypatch.setenv(str(Settings.model_fields[name].validation_alias), text)
    return getattr(Settings(), name)


@pytest.mark.parametrize(
    ("name", "text", "warning"),
    [
        ("max_queue", "many", r"OLLAMA_MAX_QUEUE has no usable value 'many' \(at least 0\): its default is used"),
        ("max_queue", "1_000", "OLLAMA_MAX_QUEUE"),
        ("max_queue", "+5", "OLLAMA_MAX_QUEUE"),
        ("max_queue", "9" * 30, "OLLAMA_MAX_QUEUE"),
        ("num_parallel", "257", r"OLLAMA_NUM_PARALLEL has no usable value '257' \(at least 0, at most 256\)"),
        ("keep_alive_ns", "9" * 12, "OLLAMA_KEEP_ALIVE"),
        ("keep_alive_ns", "soon", "OLLAMA_KEEP_ALIVE"),
        ("max_gap", "1", r"\(more than 1\)"),
        ("max_gap", "inf", "REMUDA_MAX_GAP"),
        ("threads", "513", "REMUDA_THREADS"),
        ("kv_cells", "255", r"\(0 or at least 256, at most 2147483647\)"),
        ("kv_cells", "2147483648", "REMUDA_KV_CELLS"),
        ("batch_size", "2147483648", "REMUDA_BATCH_SIZE"),
        ("listen_backlog", "2147483648", "REMUDA_LISTEN_BACKLOG"),
        ("max_media", str((1 << 30) + 1), "REMUDA_MAX_MEDIA"),
        ("template_memory", "1000", "REMUDA_TEMPLATE_MEMORY"),
        ("log_format", "xml", r"\(auto or console or json\)"),
        ("host", "[::1", "OLLAMA_HOST"),
        ("models", "~no-such-user/models", "OLLAMA_MODELS"),
    ],
)
def test_nonsense_warns_and_gives_the_default(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, warning: str
) -> None:
    with pytest.warns(InvalidSetting, match=warning):
        value = value_of(monkeypatch, name, text)
    assert value == Settings.model_fields[name].default


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in SIGNED])
@pytest.mark.parametrize("text", ["-1", "nan"])
def test_no_size_or_time_is_negative_or_not_a_number(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    with pytest.warns(InvalidSetting):
        assert value_of(monkeypatch, name, text) == Settings.model_fields[name].default


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in NUMBERS if name.endswith("_ns") and name not in SIGNED),
        *("gateways", "listen_backlog", "max_gap", "prefill_chunk", "batch_size", "embedding_batch", "max_header"),
        *("max_headers", "max_pipelined", "max_connections", "stall_bytes", "max_bodies"),
        *("max_body", "max_unread", "max_prompts", "max_metadata", "template_processes", "vocabulary_cache"),
        "gguf_threads",
    ],
)
def test_a_count_or_time_without_which_nothing_works_is_never_zero(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.warns(InvalidSetting):
        assert value_of(monkeypatch, name, "0") == Settings.model_fields[name].default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("num_parallel", "0", 0),
        ("num_parallel", "256", 256),
        ("max_queue", "0", 0),
        ("load_timeout_ns", "-1s", -NANOSECONDS["s"]),
        ("spin_count", "0", 0),
        ("draft_rows", "0", 0),
        ("kv_cells", "0", 0),
        ("kv_cells", "256", 256),
        ("max_gap", "1.5", 1.5),
        ("threads", "512", 512),
        ("stop_timeout_ns", "1ms", NANOSECONDS["ms"]),
        ("kv_cache_type", "Q8_0", "q8_0"),
        ("log_format", "JSON", "json"),
    ],
)
def test_the_ends_of_the_bounds_are_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    assert value_of(monkeypatch, name, text) == value


def test_no_default_is_out_of_its_own_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {name: getattr(Settings(), name) for name in NUMBERS}
    for name, default in defaults.items():
        monkeypatch.setenv(str(Settings.model_fields[name].validation_alias), variable_text(name, default))
    settings = Settings()
    assert {name: getattr(settings, name) for name in NUMBERS} == defaults


def variable_text(name: str, value: object) -> str:
    return f"{value}ns" if name.endswith("_ns") else str(value)


def test_a_quantised_cache_without_flash_attention_warns_and_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_FLASH_ATTENTION", "0")
    with pytest.warns(InvalidSetting, match="OLLAMA_KV_CACHE_TYPE=q8_0 needs flash attention"):
        assert value_of(monkeypatch, "kv_cache_type", "q8_0") == "f16"


@pytest.mark.parametrize("flash", ["", "1"])
def test_a_quantised_cache_is_used_unless_flash_attention_is_off(monkeypatch: pytest.MonkeyPatch, flash: str) -> None:
    monkeypatch.setenv("OLLAMA_FLASH_ATTENTION", flash)
    assert value_of(monkeypatch, "kv_cache_type", "q8_0") == "q8_0"


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16"])
def test_a_cache_that_is_not_quantised_needs_no_flash_attention(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("OLLAMA_FLASH_ATTENTION", "0")
    assert value_of(monkeypatch, "kv_cache_type", kind) == kind


def test_an_unknown_type_of_cache_warns_and_names_the_types(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(InvalidSetting, match=r"OLLAMA_KV_CACHE_TYPE has no usable value 'q9' \(f32 or f16 or bf16 or "):
        assert value_of(monkeypatch, "kv_cache_type", "q9") == "f16"


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
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert (ROOT / "docs" / "settings.md").read_text() == result.stdout
