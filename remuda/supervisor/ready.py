"""The block that `remuda serve` prints when it is ready: address, models, devices, settings, and a line to try."""

import asyncio
import time

import grpc.aio
from rich.console import Console
from rich.text import Text

from remuda import __version__
from remuda.devices import device_name
from remuda.durations import seconds
from remuda.endpoints import Endpoints
from remuda.human import binary_bytes, human_bytes
from remuda.listen_address import ListenAddress
from remuda.rpc import open_channel
from remuda.settings import Settings, changed_settings
from remuda.v1 import serving_pb2, serving_pb2_grpc, store_pb2, store_pb2_grpc

DEFAULT_MODEL = "cria"
LABEL_WIDTH = 10


async def announce(settings: Settings, endpoints: Endpoints, address: ListenAddress, began: float) -> None:
    """Prints the block on stdout. It names a process that does not answer. `began` is time.monotonic() at the start."""
    models, devices = await asyncio.gather(_models(endpoints), _devices(endpoints, settings.device_timeout_ns))
    sections = (
        ("Models", [*models, f"in {settings.models}"]),
        ("Devices", devices),
        ("Settings", changed_settings(settings) or ["all at their defaults"]),
        ("Try", [_curl_line(settings.address.model_copy(update={"port": address.port, "scheme": "http", "path": ""}))]),
        ("Stop", ["Ctrl-C"]),
    )
    duration = time.monotonic() - began
    block = Text(
        f"\nRemuda {__version__} listens on http://{address.authority} (started in {duration:.1f} s)\n\n", style="bold"
    )
    for label, lines in sections:
        block.append_text(_section(label, lines))
    Console(soft_wrap=True).print(block)  # unbroken lines: users copy the one to try


def _section(label: str, lines: list[str]) -> Text:
    indent = "\n" + " " * (LABEL_WIDTH + 2)
    return Text.assemble((f"  {label:<{LABEL_WIDTH}}", "bold"), indent.join(lines), "\n")


def _curl_line(address: ListenAddress) -> str:
    return (
        f"""curl {address.client_url}/api/generate -d '{{"model": "{DEFAULT_MODEL}", "prompt": "What is Remuda?"}}'"""
    )


async def _models(endpoints: Endpoints) -> list[str]:
    try:
        async with open_channel(endpoints.store) as channel:
            reply = await store_pb2_grpc.StoreStub(channel).List(store_pb2.ListRequest())
    except grpc.aio.AioRpcError as error:
        return [f"unknown: the store says {error.details()}"]
    return [_model_line(model) for model in reply.models] or ["none yet"]


def _model_line(model: store_pb2.ModelSummary) -> str:
    parts = (model.name, human_bytes(model.size), model.details.parameter_size, model.details.quantization_level)
    return "  ".join(part for part in parts if part)


async def _devices(endpoints: Endpoints, timeout_ns: int) -> list[str]:
    """One line per device. Waits for the worker host's first report for up to `timeout_ns`."""
    try:
        async with asyncio.timeout(seconds(timeout_ns)), open_channel(endpoints.scheduler) as channel:
            states = serving_pb2_grpc.SchedulerStub(channel).Watch(serving_pb2.WatchRequest())
            async for state in states:
                if state.devices:
                    states.cancel()
                    return [device_line(device) for device in state.devices]
    except TimeoutError:
        return ["none yet: the worker host has not reported"]
    except grpc.aio.AioRpcError as error:
        return [f"unknown: the scheduler says {error.details()}"]
    return ["none yet"]


def device_line(device: serving_pb2.Device) -> str:
    free, total = binary_bytes(device.memory_free), binary_bytes(device.memory_total)
    notes = [f"{binary_bytes(device.memory_reserved)} kept free"] if device.memory_reserved else []
    notes += ["declared, computes on the CPU"] if device.declared else []
    return f"{device_name(device.id)}  {device.name}  " + ", ".join([f"{free} of {total} free", *notes])
