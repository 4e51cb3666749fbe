"""`python -m store`: the store process."""

import asyncio
import sys

from remuda.endpoints import Endpoints
from remuda.process import run_process
from remuda.rpc import start_server
from remuda.settings import Settings
from remuda.v1 import store_pb2_grpc
from store.embedded import import_embedded
from store.library import Library
from store.service import StoreService
from store.trial.trials import Trials


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Serves until `stop` is set. Exits with status 1 and one line where the models folder is not writable."""
    library = Library(settings)
    try:
        await asyncio.to_thread(library.prepare)
        await asyncio.to_thread(import_embedded, library, settings.embedded_model)
    except OSError as error:
        sys.exit(f"Error: the models folder {settings.models} is not writable: {error.strerror}")
    trials = Trials(settings)
    trials.start()
    server = await start_server(
        Endpoints.from_environment().store,
        lambda server: store_pb2_grpc.add_StoreServicer_to_server(StoreService(library, trials), server),
    )
    looking = asyncio.create_task(library.changes.run())
    await asyncio.wait([looking, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    await server.stop(grace=None)
    await trials.close()
    if looking.done():  # gateways trust it: the supervisor starts another store
        looking.result()
    looking.cancel()


if __name__ == "__main__":
    run_process("store", main)
