"""A sandbox's process that answers what it is asked, with its process id, or `$NAME` of its environment; or dies, or
hangs."""

import os
import sys
import threading

from remuda.sandbox.child import serve

DIE, HANG = b"die", b"hang"


def answer(question: bytes) -> bytes:
    if question == DIE:
        os._exit(1)
    if question == HANG:
        threading.Event().wait()
    if question.startswith(b"$"):
        return os.environb[question[1:]]
    return b"%d %b" % (os.getpid(), question)


if __name__ == "__main__":
    serve("echo", sys.argv[1:], answer)
