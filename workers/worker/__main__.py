"""`python -m workers.worker`: one model, loaded and served. Its StartWorker message comes on standard input."""

import os
import sys

from remuda.devices import device_names
from remuda.process import PARENT_VARIABLE, begin_process, die_with_parent
from remuda.settings import Settings
from remuda.v1 import wire_pb2 as wire
from workers.worker.affinity import confine
from workers.worker.worker import Worker

SWITCH_INTERVAL_S = 0.0005
"""The longest time that a thread waits for the interpreter after llama_decode; Python's default is 5 ms."""


def main() -> None:
    """Entry point. The parent is the worker host."""
    parent = int(os.environ[PARENT_VARIABLE])
    die_with_parent(parent)
    settings = Settings()
    start = wire.StartWorker.FromString(sys.stdin.buffer.read())
    begin_process(f"worker {start.model.name} {device_names(start.placement.devices)}", settings)
    if settings.cpu_affinity:
        confine(settings.cpu_affinity[0])
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    Worker(start, settings).run()


if __name__ == "__main__":
    main()
