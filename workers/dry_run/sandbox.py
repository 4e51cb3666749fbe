"""The dry run's process: measures one model and is ended (`remuda.sandbox.child`).

A question is a wire.Measure, an answer a wire.Measured. Before the question no device is opened.
"""

import ctypes
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import structlog

from remuda.sandbox.child import serve
from remuda.sandbox.pool import GIVEN
from remuda.settings import Settings
from remuda.v1 import wire_pb2 as wire
from workers.dry_run.dry_run import measure
from workers.engine.llama import C

OOM_SCORE = Path("/proc/self/oom_score_adj")
"""Where memory runs out, the kernel ends this process before any worker."""

_ABORT = ctypes.CFUNCTYPE(None, ctypes.c_char_p)


def main() -> None:
    """Usage: python -m workers.dry_run.sandbox BOUNDS..."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # the host logs errors
    settings = Settings()
    with suppress(OSError):
        OOM_SCORE.write_text("1000")

    def answer_bytes(message: bytes) -> bytes:
        question = wire.Measure.FromString(message)
        os.environ.update(environment_for(question))
        return answer(question, settings)

    serve("dry run", sys.argv[1:], answer_bytes)


def environment_for(question: wire.Measure) -> Mapping[str, str]:
    """Hides the GPUs from a model that is to have no layer on them: its worker will see none. The drivers read this
    when llama.cpp opens the first device, and none is open yet."""
    return GIVEN if question.model.options.num_gpu == 0 else {}


def answer(question: wire.Measure, settings: Settings) -> bytes:
    """Measures in a thread of its own. Where llama.cpp aborts, the thread is held, and its last words are returned."""
    answers = SimpleQueue[wire.Measured]()

    def abort(message: bytes) -> None:
        answers.put(wire.Measured(id=question.id, error=f"llama.cpp aborts: {first_line(message)}"))
        threading.Event().wait()

    callback = _ABORT(abort)
    _set_abort_callback()(callback)
    threading.Thread(target=lambda: answers.put(measure(question, settings)), daemon=True).start()
    return answers.get().SerializeToString()


def first_line(message: bytes) -> str:
    """Returns the message's first line without the path of llama.cpp's source."""
    line = message.decode("utf-8", "replace").partition("\n")[0]
    return re.sub(r"^\S*/", "", line)


def _set_abort_callback() -> Callable[..., None]:
    """Binds the function of ggml.h, which the bindings lack."""
    return ctypes.CFUNCTYPE(ctypes.c_void_p, _ABORT)(("ggml_set_abort_callback", C._lib))


if __name__ == "__main__":
    main()
