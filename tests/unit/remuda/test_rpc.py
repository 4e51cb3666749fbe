"""gRPC between the processes: crowds of calls, and processes started beside them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
from support.paths import ROOT

from remuda.rpc import open_channel, start_server
from remuda.v1 import store_pb2, store_pb2_grpc

CROWD = 2000


class PromptStore(store_pb2_grpc.StoreServicer):
    """Answers every call without delay."""

    async def Resolve(self, request: store_pb2.ResolveRequest, context: Any) -> store_pb2.Bundle:  # noqa: N802
        return store_pb2.Bundle()


async def test_a_server_answers_every_call_of_a_crowd(private_folder: Path) -> None:
    target = f"unix:{private_folder}/crowded.grpc"
    server = await start_server(
        target, lambda server: store_pb2_grpc.add_StoreServicer_to_server(PromptStore(), server)
    )
    async with open_channel(target) as channel:
        stub = store_pb2_grpc.StoreStub(channel)
        calls = [stub.Resolve(store_pb2.ResolveRequest(name="cria"), wait_for_ready=True) for _ in range(CROWD)]
        codes = [await call.code() for call in calls]
    await server.stop(None)
    assert codes.count(grpc.StatusCode.OK) == CROWD


def test_processes_that_are_started_beside_calls_never_die_before_they_begin(private_folder: Path) -> None:
    script = ROOT / "tests" / "support" / "forking_process.py"
    result = subprocess.run(
        [sys.executable, script, f"unix:{private_folder}/busy.grpc"], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "0\n", result.stderr
