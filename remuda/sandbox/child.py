"""A sandbox's process: answers the questions that come on stdin, one at a time, until stdin closes.

The kernel bounds its memory. The parent bounds its time and kills it. So a hostile question harms nobody.

A message is its length in four bytes (big-endian) and its bytes. An empty message says that the process is ready.
"""

import os
import resource
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO

import setproctitle

from remuda.process import die_with_parent

HEADER = struct.Struct(">I")


def serve(title: str, arguments: Sequence[str], answer: Callable[..., bytes]) -> None:
    """Answers within its bounds: the first `arguments` are its parent, its niceness, and its bytes of address space, 0
    for no limit.

    `answer` is called with a question and with the other arguments, as numbers.
    """
    parent, niceness, memory, *others = map(int, arguments)
    die_with_parent(parent)
    os.nice(niceness)
    _close_inherited()
    setproctitle.setproctitle(f"remuda {title}")
    if memory:
        _bound_memory(memory)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing that a library prints is taken for an answer
    _send(answers, b"")
    while (question := _receive(questions)) is not None:
        _send(answers, answer(question, *others))


def on_stack(size: int, work: Callable[[], bytes]) -> bytes:
    """What `work` returns in a thread with `size` bytes of stack. The process dies of work that takes more."""
    threading.stack_size(size)
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    thread.join()
    return answers[0]


def _bound_memory(memory: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _close_inherited() -> None:
    """Closes all files but the standard streams: uvloop passes on duplicates of those, and inheritable files."""
    os.closerange(sys.stderr.fileno() + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _receive(stream: BinaryIO) -> bytes | None:
    header = stream.read(HEADER.size)
    return stream.read(HEADER.unpack(header)[0]) if len(header) == HEADER.size else None


def _send(stream: BinaryIO, message: bytes) -> None:
    stream.write(HEADER.pack(len(message)) + message)
    stream.flush()
