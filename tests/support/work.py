"""How much work a call does, counted and not timed."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from support.paths import ROOT

PRODUCT = tuple(f"{ROOT / folder}/" for folder in ("gateway", "remuda", "scheduler", "store", "workers"))


def work_of(call: Callable[[], Any]) -> int:
    """Returns the lines of the product that `call` runs, and the characters of all strings whose methods they call."""
    work = 0

    def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        nonlocal work
        if not frame.f_code.co_filename.startswith(PRODUCT):
            return None
        work += event == "line"
        return trace

    def profile(frame: FrameType, event: str, function: Any) -> None:
        nonlocal work
        text = getattr(function, "__self__", None) if event == "c_call" else None
        if isinstance(text, str) and frame.f_code.co_filename.startswith(PRODUCT):
            work += len(text)

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return work
