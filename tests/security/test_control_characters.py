"""What a client writes never steers the terminal that shows the log."""

from remuda.logs import escape_controls


def test_control_characters_are_written_out() -> None:
    line = escape_controls(None, "info", {"event": "request", "model": "\x1b[2Jx\r\ny\x07\x9b1m", "status": 404})
    assert line == {"event": "request", "model": "\\x1b[2Jx\\r\\ny\\x07\\x9b1m", "status": 404}


def test_a_traceback_keeps_its_lines() -> None:
    line = escape_controls(None, "error", {"exception": "Traceback\n  x\x1b[0m"})
    assert line == {"exception": "Traceback\n  x\\x1b[0m"}


def test_other_characters_stay() -> None:
    assert escape_controls(None, "info", {"model": "größe 模型 🙂"}) == {"model": "größe 模型 🙂"}
