"""After `kill -9` of a worker its streams end with an error, and the server loads the model again."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
from support.models_folder import install_endless, models_folder
from support.serving import StartServer, short_folder, until

STREAMS = 8
STOPPED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
    "check ollama server logs for details"
)


def test_a_killed_worker_ends_its_streams_with_an_error_line_and_the_next_request_succeeds(start: StartServer) -> None:
    with short_folder() as folder:
        install_endless(models_folder(folder))
        server = start(folder, OLLAMA_NUM_PARALLEL=str(STREAMS))
        all_stream = Barrier(STREAMS + 1, timeout=20)

        def stream(_: int) -> dict[str, object]:
            body = {"model": "endless", "prompt": "?", "raw": True}
            with httpx.stream("POST", f"{server.url}/api/generate", json=body, timeout=20) as reply:
                lines = reply.iter_lines()
                next(lines)
                all_stream.wait()
                *_, last = lines
                return json.loads(last)

        with ThreadPoolExecutor(STREAMS) as pool:
            streams = pool.map(stream, range(STREAMS))
            all_stream.wait()
            (worker,) = [pid for title, pid in server.processes().items() if title.startswith("remuda worker")]
            os.kill(worker, signal.SIGKILL)
            ends = list(streams)

        assert ends == [{"error": STOPPED}] * STREAMS
        server.assert_serves()


def test_processes_have_titles_that_an_operator_can_read(start: StartServer) -> None:
    server = start()
    server.generate()
    until(lambda: "remuda dry run" in server.processes())  # it starts beside all else

    assert set(server.processes()) == {
        "remuda store",
        "remuda trial",
        "remuda scheduler",
        "remuda host",
        "remuda dry run",
        "remuda gateway 0",
        "remuda templates",
        "remuda worker cria:latest cpu",
    }
