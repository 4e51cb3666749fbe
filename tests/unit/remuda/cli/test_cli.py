"""The texts of the `remuda` command: tables, sizes, times, options, answers."""

import io
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.serving import REMUDA

from remuda import __version__
from remuda.cli.answer import AnswerPrinter, statistics
from remuda.cli.catalog import parse_time, processor
from remuda.cli.errors import CommandError
from remuda.cli.main import readable, with_bare_think
from remuda.cli.options import RunOptions, parse_format, parse_keep_alive, parse_think
from remuda.cli.repl import Repl
from remuda.cli.tables import render_table
from remuda.durations import go_duration
from remuda.human import human_bytes, human_time

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1024, "1.0 KB"),
        (1_000_000, "1 MB"),
        (1_500_000_000, "1.5 GB"),
        (12_900_000, "12 MB"),
    ],
)
def test_sizes_are_powers_of_1000(size: int, text: str) -> None:
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (timedelta(seconds=-0.5), "Less than a second ago"),
        (timedelta(seconds=1), "1 second from now"),
        (timedelta(seconds=59), "59 seconds from now"),
        (timedelta(seconds=-60), "About a minute ago"),
        (timedelta(minutes=5), "5 minutes from now"),
        (timedelta(hours=-1), "About an hour ago"),
        (timedelta(hours=47), "47 hours from now"),
        (timedelta(days=-3), "3 days ago"),
        (timedelta(days=-20), "2 weeks ago"),
        (timedelta(days=-90), "3 months ago"),
        (timedelta(days=-800), "2 years ago"),
        (timedelta(days=21 * 365), "Forever"),
    ],
)
def test_times_are_written_in_words(ahead: timedelta, text: str) -> None:
    assert human_time(NOW + ahead, NOW) == text


def test_gos_zero_time_is_never() -> None:
    assert human_time(parse_time("0001-01-01T00:00:00Z"), NOW) == "Never"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (15, "15ns"),
        (1_500, "1.5µs"),
        (1_234_567, "1.234567ms"),
        (2_000_000_000, "2s"),
        (62_500_000_000, "1m2.5s"),
        (3_600_000_000_000, "1h0m0s"),
    ],
)
def test_durations_are_written_as_go_does(nanoseconds: int, text: str) -> None:
    assert go_duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("size", "vram", "text"),
    [(8, 0, "100% CPU"), (8, 8, "100% GPU"), (8, 6, "25%/75% CPU/GPU"), (0, 4, "Unknown"), (4, 8, "Unknown")],
)
def test_the_processor_column_shows_the_shares_of_bytes(size: int, vram: int, text: str) -> None:
    assert processor(size, vram) == text


def test_a_table_pads_data_rows_by_four_spaces_and_the_header_by_one() -> None:
    assert render_table(("NAME", "SIZE"), [("cria:latest", "5 MB")]) == "NAME           SIZE \ncria:latest    5 MB    "
    assert render_table(("NAME", "SIZE"), []) == "NAME    SIZE "


def test_a_bare_think_is_true_and_takes_no_word_of_the_prompt() -> None:
    assert with_bare_think(["run", "m", "--think", "high"]) == ["run", "m", "--think=true", "high"]
    assert with_bare_think(["run", "m", "--", "--think"]) == ["run", "m", "--", "--think"]


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    assert readable(os.fsdecode(b"caf\xc3\xa9 \xff")) == "café \ufffd"


def test_options_that_cannot_be_sent_are_refused_in_ollamas_words() -> None:
    with pytest.raises(CommandError, match="time: missing unit in duration"):
        parse_keep_alive("300")
    with pytest.raises(CommandError, match='invalid value for --think: "loud"'):
        parse_think("loud")
    with pytest.raises(CommandError, match="invalid value for --format"):
        parse_format("{")
    assert (parse_keep_alive("-5m"), parse_think("low"), parse_format("json")) == (-1, "low", "json")


def options(**changes: Any) -> RunOptions:
    values = {"model": "cria", "prompt": None, "keep_alive": "", "verbose": False, "format": "", "think": None}
    return RunOptions.parse(**{**values, "hide_thinking": False, **changes})


def test_a_model_that_can_think_does_so_unless_told_not_to() -> None:
    assert options().for_model(["completion", "thinking"]).fields() == {"model": "cria", "think": True}
    assert options(think="false").for_model(["thinking"]).fields() == {"model": "cria", "think": False}
    assert options().for_model(["completion"]).fields() == {"model": "cria"}


def test_thinking_is_printed_between_its_marks() -> None:
    out = io.StringIO()
    parts = [{"thinking": "One"}, {"thinking": " two."}, {"response": "Three"}, {"response": ".", "done": True}]
    assert AnswerPrinter(hide_thinking=False, out=out).show(parts)["done"]
    assert out.getvalue() == "Thinking...\nOne two.\n...done thinking.\n\nThree."


def test_hidden_thinking_leaves_the_answer_alone() -> None:
    out = io.StringIO()
    AnswerPrinter(hide_thinking=True, out=out).show([{"thinking": "One"}, {"response": "Two"}])
    assert out.getvalue() == "Two"


def test_statistics_leave_out_what_the_answer_does_not_have() -> None:
    final = {"total_duration": 1_234_567, "prompt_eval_count": 0, "eval_count": 10, "eval_duration": 2_000_000_000}
    assert statistics(final) == (
        "total duration:       1.234567ms\n"
        "eval count:           10 token(s)\n"
        "eval duration:        2s\n"
        "eval rate:            5.00 tokens/s\n"
    )


class Recorder:
    """Stands for the server. It records the requests and answers every chat with `Hi.`"""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []

    def stream(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        self.requests.append((path, {**body, "messages": list(body.get("messages", ()))}))
        return [{"message": {"content": "Hi."}, "done": True}] if path == "/api/chat" else [{"done": True}]


def converse(*lines: str) -> list[Any]:
    """Types these lines into a conversation. Returns the messages of each request."""
    server, keyboard = Recorder(), iter(lines)

    def ask(_: str) -> str:
        try:
            return next(keyboard)
        except StopIteration:
            raise EOFError from None

    Repl(server, options(), {}, ask).loop()  # type: ignore[arg-type]
    assert server.requests[0][0] == "/api/generate"
    return [body["messages"] for _, body in server.requests[1:]]


def test_every_turn_sends_the_whole_conversation() -> None:
    assert converse("One", "/set system Be brief.", "Two")[1] == [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Hi."},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Two"},
    ]


def test_clear_forgets_the_conversation_and_keeps_the_system_message() -> None:
    assert converse("/set system Be brief.", "One", "/clear", "Two")[1] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Two"},
    ]


def test_three_quotes_begin_and_end_a_message_of_several_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert converse('"""One', 'two"""', "/nonsense", "/bye", "never")[0] == [{"role": "user", "content": "One\ntwo"}]
    assert "Unknown command '/nonsense'. Type /? for help\n" in capsys.readouterr().out


def test_the_version_is_printed_without_a_server_and_without_what_a_server_imports() -> None:
    command = [sys.executable, "-X", "importtime", REMUDA, "--version"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, f"remuda version is {__version__}\n")
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "typer" in imported
    assert imported.isdisjoint({"fastapi", "grpc", "httpx", "llama_cpp", "numpy", "zmq"})


@pytest.mark.parametrize("command", [["list"], ["ps"], ["stop", "cria"], ["run", "cria", "Hello!"]])
def test_a_server_that_does_not_run_is_one_line_and_status_1(command: list[str]) -> None:
    result = subprocess.run(
        [REMUDA, *command], capture_output=True, text=True, env={"OLLAMA_HOST": "127.0.0.1:1"}, stdin=subprocess.DEVNULL
    )
    message = "Error: could not connect to remuda server, run 'remuda serve' to start it\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", message)
