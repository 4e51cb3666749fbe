"""The worker host: finds the devices of a machine, starts workers and reaps them. It decides nothing."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import zmq
import zmq.asyncio
from google.protobuf.message import DecodeError

from remuda.devices import device_names
from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.process import exit_reason
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.host.affinity import CpuSets
from workers.host.devices.found import DeviceKey, LocalWorker
from workers.host.devices.inventory import Inventory
from workers.host.measuring import Measuring, emptiest_gpu
from workers.host.spawn import spawn_worker, stop_worker

log = get_logger()


class Host:
    """Starts and stops workers as the scheduler orders, and reports what happens to them."""

    def __init__(self, name: str, uplink: str, settings: Settings, inventory: Inventory) -> None:
        """`inventory` has been opened."""
        self._name = name
        self._incarnation = time.time_ns()
        self._settings = settings
        self._inventory = inventory
        gpu = emptiest_gpu(inventory.devices([]))
        self._measuring = Measuring(settings, inventory.pinning([gpu] if gpu else []), sees_gpu=gpu is not None)
        self._answers: set[asyncio.Task[None]] = set()
        self._cpu_sets = CpuSets(settings.cpu_affinity)
        self._workers: dict[int, asyncio.Event] = {}  # not yet reported gone; the event is set to stop one
        self._processes: dict[int, LocalWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._context = zmq.asyncio.Context()
        self._scheduler = self._context.socket(zmq.DEALER)
        self._scheduler.setsockopt(zmq.IDENTITY, f"host:{name}".encode())
        self._scheduler.setsockopt(zmq.LINGER, 0)
        self._scheduler.connect(uplink)

    async def run(self) -> None:
        """Says hello and serves, for ever."""
        await self._say_hello()
        self._measuring.start()
        await asyncio.gather(self._receive(), self._report(), self._inventory.watch())

    async def close(self) -> None:
        """Stops all workers and dry runs."""
        for stop in self._workers.values():
            stop.set()
        for answer in self._answers:
            answer.cancel()
        await asyncio.gather(self._measuring.close(), *self._tasks)
        self._context.destroy(linger=0)

    async def _receive(self) -> None:
        while True:
            frame = await self._scheduler.recv()
            try:
                await self._handle(wire.Downlink.FromString(frame))
            except DecodeError as error:
                log.warning("unreadable message dropped", error=str(error))

    async def _handle(self, message: wire.Downlink) -> None:
        match message.WhichOneof("message"):
            case "start_worker":
                if message.start_worker.incarnation == self._incarnation:
                    self._start(message.start_worker)
            case "stop_worker":
                if stop := self._workers.get(message.stop_worker.worker):
                    stop.set()
            case "measure":
                self._begin(self._measure(message.measure), self._answers)
            case "identify":
                await self._say_hello()
            case other:
                log.warning("message not for a host dropped", kind=other)

    def _start(self, start: wire.StartWorker) -> None:
        stop = self._workers[start.worker] = asyncio.Event()
        self._begin(self._run_worker(start, stop), self._tasks)

    def _begin(self, work: Coroutine[Any, Any, None], tasks: "set[asyncio.Task[None]]") -> None:
        """Does the work beside the loop, as one of the tasks."""
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _measure(self, measure: wire.Measure) -> None:
        await self._send(wire.Uplink(measured=await self._measuring.answer(measure)))

    async def _run_worker(self, start: wire.StartWorker, stop: asyncio.Event) -> None:
        """The whole life of one worker, from the order to the report of its end."""
        try:
            with self._cpu_sets.lent() as cpus:
                reason = await self._keep_worker(start, stop, cpus)
        except OSError as error:
            reason = f"the process could not be started: {error.strerror}"
        log.info("worker ended", worker=start.worker, model=start.model.name, reason=reason)
        del self._workers[start.worker]
        self._processes.pop(start.worker, None)
        exited = wire.WorkerExited(worker=start.worker, reason=reason, devices=self._devices())
        await self._send(wire.Uplink(worker_exited=exited))

    async def _keep_worker(self, start: wire.StartWorker, stop: asyncio.Event, cpus: frozenset[int]) -> str:
        """Runs the process until it ends or `stop` is set; tells how it ended. Raises OSError."""
        devices = start.placement.devices
        process = await spawn_worker(start, self._settings.spin_count, cpus, self._inventory.pinning(devices))
        self._processes[start.worker] = LocalWorker(process.pid, frozenset(map(DeviceKey.of, devices)))
        names = device_names(devices)
        log.info("worker started", worker=start.worker, model=start.model.name, device=names, pid=process.pid)
        waiting = [asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        waiting[1].cancel()
        await stop_worker(process)
        return exit_reason(await process.wait())

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(seconds(self._settings.stats_interval_ns))
            status = wire.HostStatus(devices=self._devices())
            await self._send(wire.Uplink(host_status=status))

    async def _say_hello(self) -> None:
        hello = wire.HostHello(
            host=self._name, devices=self._devices(), workers=list(self._workers), incarnation=self._incarnation
        )
        await self._send(wire.Uplink(host_hello=hello))

    def _devices(self) -> list[pb.Device]:
        return self._inventory.devices(list(self._processes.values()))

    async def _send(self, message: wire.Uplink) -> None:
        await self._scheduler.send(message.SerializeToString())
