"""A gateway's HTTP server on a real socket, with raw connections to it. The store and the scheduler are the test's."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from gateway.process import http_server, serve_until
from remuda.settings import Settings
from support.gateway_world import World, world_in
from support.serving import DEADLINE


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of which everything has arrived, or that was cut off."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Client:
    """A connection of which the test writes and reads every byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def reply(self) -> Reply:
        """The next reply."""
        async with asyncio.timeout(DEADLINE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(line.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """All that comes until the server closes the connection."""
        async with asyncio.timeout(DEADLINE):
            with contextlib.suppress(ConnectionResetError):
                return await self.reader.read()
        return b""

    def close(self) -> None:
        self.writer.transport.abort()


@dataclass(frozen=True, slots=True)
class Edge:
    """The server, and the world behind it."""

    world: World
    address: tuple[str, int]
    clients: list[Client]

    async def connect(self, receive_buffer: int = 0) -> Client:
        """A new connection. `receive_buffer` bounds what the kernel takes for a client that does not read."""
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, self.address)
        limit = 1 << 16 if not receive_buffer else 16
        client = Client(*await asyncio.open_connection(sock=connection, limit=limit))
        self.clients.append(client)
        return client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds."""
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110 (it depends on the kernel)
                await asyncio.sleep(0.01)

    def open_sockets(self) -> int:
        """TCP connections of the server's side, in any state but closed."""
        _, port = self.address
        connections = psutil.Process().net_connections("tcp")
        return sum(each.laddr[1] == port and each.status != psutil.CONN_LISTEN for each in connections)

    async def all_closed(self) -> None:
        """Waits until the server has closed all connections, whatever their clients do."""
        await self.until(lambda: self.open_sockets() == 0)


@contextlib.asynccontextmanager
async def edge_in(folder: Path) -> AsyncGenerator[Edge]:
    """A server with the environment's settings, whose other sockets lie in `folder`."""
    settings, stop = Settings(), asyncio.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    async with world_in(folder) as world:
        server = http_server(world.app, settings)
        serving = asyncio.create_task(serve_until(stop, server, listener))
        edge = Edge(world, listener.getsockname(), [])
        await edge.until(lambda: server.started)
        try:
            yield edge
        finally:
            for client in edge.clients:
                client.close()
            stop.set()
            await serving
