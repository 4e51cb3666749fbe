"""`python -m scheduler`: the scheduler process."""

import asyncio
import time

from remuda.endpoints import Endpoints
from remuda.process import run_process
from remuda.rpc import start_server
from remuda.settings import Settings
from remuda.v1 import serving_pb2_grpc
from scheduler.core import Core
from scheduler.edge.dispatcher import Dispatcher
from scheduler.edge.links import Links
from scheduler.edge.service import SchedulerService
from scheduler.state import Policy


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Serves until `stop` is set."""
    endpoints = Endpoints.from_environment()
    policy = Policy(
        num_parallel=settings.num_parallel,
        max_loaded_models=settings.max_loaded_models,
        max_queue=settings.max_queue,
        queue_bytes=settings.queue_bytes,
        keep_alive_ns=settings.keep_alive_ns,
        load_timeout_ns=settings.load_timeout_ns,
        spread=settings.sched_spread,
        max_replicas=settings.max_replicas,
        scale_up_after_ns=settings.scale_up_after_ns,
    )
    # replica ids start at the time, so that a restarted scheduler never reuses those of workers that live on
    core = Core(policy, first_replica=time.time_ns() // 1_000_000)
    links = Links(endpoints.uplink)
    dispatcher = Dispatcher(core, links)
    server = await start_server(
        endpoints.scheduler,
        lambda server: serving_pb2_grpc.add_SchedulerServicer_to_server(SchedulerService(dispatcher), server),
    )
    tasks = [asyncio.create_task(links.receive(dispatcher.handle)), asyncio.create_task(dispatcher.tick())]
    await asyncio.wait([*tasks, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()
    await server.stop(grace=None)
    links.close()


if __name__ == "__main__":
    run_process("scheduler", main)
