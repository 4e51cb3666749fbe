"""`python -m workers.host`: the process that finds devices, starts workers and reaps them."""

import asyncio
import socket
import sys

from remuda.endpoints import Endpoints
from remuda.process import run_process
from remuda.rpc import start_server
from remuda.settings import Settings
from workers.host.devices.inventory import Inventory
from workers.host.host import Host


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Serves until `stop` is set. Exits with status 1 and one line for an unusable REMUDA_DEVICES."""
    endpoints = Endpoints.from_environment()
    try:
        inventory = Inventory(settings)
    except ValueError as error:
        sys.exit(f"Error: {error}")
    await inventory.open()
    host = Host(socket.gethostname(), endpoints.uplink, settings, inventory)
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
