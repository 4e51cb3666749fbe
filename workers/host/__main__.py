"""`python -m workers.host`: the process that finds devices, starts workers and reaps them."""

import asyncio
import socket

from remuda.endpoints import Endpoints
from remuda.process import run_process
from remuda.rpc import start_server
from remuda.settings import Settings
from workers.host.host import Host


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Serves until `stop` is set."""
    endpoints = Endpoints.from_environment()
    host = Host(socket.gethostname(), endpoints.uplink, settings)
    server = await start_server(endpoints.host, lambda _: None)
    serving = asyncio.create_task(host.run())
    await asyncio.wait([serving, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    serving.cancel()
    await host.close()
    await server.stop(grace=None)


if __name__ == "__main__":
    run_process("host", main)
