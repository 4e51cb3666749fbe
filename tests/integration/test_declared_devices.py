"""A real server on a machine that its operator describes by hand."""

import json
import re

import psutil
from support.serving import StartServer

from remuda.devices import is_gpu

EIGHT_GPUS = json.dumps(
    [{"id": f"gpu{index}", "kind": "cuda", "index": index, "total": 200_000_000 + index} for index in range(8)]
)


def test_a_server_on_eight_declared_gpus_answers_and_pins_its_worker(start: StartServer) -> None:
    # a process's title lies where its environment was, unless setproctitle is told to leave that
    server = start(REMUDA_DEVICES=EIGHT_GPUS, OLLAMA_GPU_OVERHEAD="1000", SPT_NOENV="1")
    server.assert_serves()
    gpus = [device for device in server.scheduler_state().devices if is_gpu(device.id)]
    assert [gpu.id.index for gpu in gpus] == list(range(8))
    assert [gpu.memory_total for gpu in gpus] == [200_000_000 + index for index in range(8)]
    assert all(gpu.declared and gpu.memory_reserved == 1000 for gpu in gpus)
    assert re.findall(r"cuda:(\d)  gpu\1 .*declared", server.banner) == [str(index) for index in range(8)]
    ((placement, pid),) = workers(server.processes())
    environment = psutil.Process(pid).environ()
    assert placement == "cuda:" + environment["CUDA_VISIBLE_DEVICES"]
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert environment["HIP_VISIBLE_DEVICES"] == "-1"


def workers(processes: dict[str, int]) -> list[tuple[str, int]]:
    """Device and pid of each worker, by the titles of all processes."""
    titles = ((title.split(), pid) for title, pid in processes.items())
    return [(words[-1], pid) for words, pid in titles if words[:2] == ["remuda", "worker"]]
