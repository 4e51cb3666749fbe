"""The `remuda` command against a real server."""

import os
import pty
import re
import select
import subprocess
import time
from dataclasses import dataclass

import pytest
from support.serving import REMUDA, Server

TABLE_ROW = re.compile(r"^cria:latest {4}[0-9a-f]{12} {4}\d")


def remuda(server: Server, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OLLAMA_HOST": server.url}
    return subprocess.run(
        [REMUDA, *arguments], input=stdin, capture_output=True, text=True, env=environment, timeout=30
    )


def test_list_shows_the_embedded_model(server: Server) -> None:
    header, row = remuda(server, "list").stdout.splitlines()
    assert header.split() == ["NAME", "ID", "SIZE", "MODIFIED"]
    assert TABLE_ROW.match(row)
    assert TABLE_ROW.match(remuda(server, "ls", "CRI").stdout.splitlines()[1])
    assert remuda(server, "list", "other").stdout == "NAME    ID    SIZE    MODIFIED \n"


def test_an_unusable_variable_is_a_warning_of_one_line(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMUDA_CLIENT_TIMEOUT", "soon")
    result = remuda(server, "list")
    assert (result.returncode, len(result.stdout.splitlines())) == (0, 2)
    assert result.stderr.startswith("Warning: REMUDA_CLIENT_TIMEOUT has no usable value 'soon'")
    assert len(result.stderr.splitlines()) == 1


def test_a_model_that_ran_is_listed_by_ps_and_gone_after_stop(server: Server) -> None:
    assert remuda(server, "run", "cria", "Hello!").returncode == 0
    header, row = remuda(server, "ps").stdout.splitlines()
    assert header.split() == ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"]
    assert TABLE_ROW.match(row)
    assert "minutes from now" in row
    result = remuda(server, "stop", "cria")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert "minutes from now" not in remuda(server, "ps").stdout


def test_an_answer_is_the_same_as_over_http_and_ends_with_two_newlines(server: Server) -> None:
    result = remuda(server, "run", "cria", "--think=false", "--verbose", "Hello!")
    text = server.generate("Hello!").json()["response"]
    assert result.stdout.startswith(text)
    assert result.stdout.endswith("\n\n")
    assert "eval count:" in result.stderr


@pytest.mark.parametrize(("argument", "piped"), [(b"\xff", b""), (b"x", b"\xff\xfe")])
def test_a_prompt_that_is_no_utf8_is_answered(server: Server, argument: bytes, piped: bytes) -> None:
    environment = {**os.environ, "OLLAMA_HOST": server.url}
    command = [bytes(REMUDA), b"run", b"cria", argument]
    result = subprocess.run(command, input=piped, capture_output=True, env=environment, timeout=30)
    assert (result.returncode, result.stderr) == (0, b"")


def test_piped_input_comes_before_the_prompt(server: Server) -> None:
    piped = remuda(server, "run", "cria", "--think=false", "France?", stdin="What is the capital of")
    whole = remuda(server, "run", "cria", "--think=false", "What is the capital of France?")
    assert piped.stdout == whole.stdout


def test_an_empty_prompt_loads_the_model_and_prints_nothing(server: Server) -> None:
    assert remuda(server, "run", "cria", "").stdout == ""
    assert "cria:latest" in remuda(server, "ps").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nope", "Hello!"), "Error: model 'nope:latest' not found\n"),
        (("stop", "nope"), 'Error: couldn\'t find model "nope" to stop\n'),
        (("run", "cria", "--keepalive", "300", "Hello!"), 'Error: time: missing unit in duration "300"\n'),
    ],
)
def test_a_failure_is_one_line_and_status_1(server: Server, arguments: tuple[str, ...], message: str) -> None:
    result = remuda(server, *arguments)
    assert (result.returncode, result.stderr) == (1, message)


def test_a_conversation_at_a_terminal_has_a_system_message_and_an_end(server: Server) -> None:
    typist, terminal = pty.openpty()
    environment = {**os.environ, "OLLAMA_HOST": server.url, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    process = subprocess.Popen(
        [REMUDA, "run", "cria", "--think=false"], stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    )
    os.close(terminal)
    screen = Screen(typist)
    screen.read_until(">>> ")
    os.write(typist, b"/set system You are Mario.\r")
    screen.read_until("Set system message.")
    screen.read_until(">>> ")
    os.write(typist, b"What is the capital of France?\r")
    screen.read_until("Paris")
    screen.read_until(">>> ")
    os.write(typist, b"/bye\r")
    assert process.wait(10) == 0
    os.close(typist)


@dataclass
class Screen:
    """What a program writes to its terminal."""

    terminal: int
    unread: str = ""

    def read_until(self, text: str, seconds: float = 10) -> None:
        """Reads until the terminal shows `text` after what was read before."""
        end = time.monotonic() + seconds
        while text not in self.unread:
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no {text!r} in {self.unread!r}"
            self.unread += os.read(self.terminal, 4096).decode(errors="replace")
        self.unread = self.unread.partition(text)[2]
