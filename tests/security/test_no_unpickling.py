"""Nothing that arrives is executed while it is read: no pickle, in no disguise (as in ShadowMQ and its copies)."""

import ast
import asyncio
import pickle  # noqa: TID251 - the attack
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateway_world import STOP, world_in

ROOT = Path(__file__).parents[2]
PACKAGES = ("remuda", "gateway", "scheduler", "workers", "store", "loadtests", "models")
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle"}
CALLS = {"recv_pyobj", "send_pyobj"}


def names_of(path: Path) -> Iterator[str]:
    """Modules that a file imports, and attributes that it uses."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]
            case ast.Attribute(attr=attribute):
                yield attribute
            case _:
                pass


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_knows_pickle(package: str) -> None:
    paths = list((ROOT / package).rglob("*.py"))
    assert paths
    guilty = {str(path) for path in paths if (MODULES | CALLS) & set(names_of(path))}
    assert guilty == set()


class Bomb:
    """Creates a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (open, (str(self.path), "w"))


async def test_a_pickle_among_token_frames_is_dropped(private_folder: Path) -> None:
    exploded = private_folder / "exploded"
    async with world_in(private_folder) as world:
        body = {"model": "cria", "prompt": "hi", "stream": False}
        call = asyncio.create_task(world.client.post("/api/generate", json=body))
        request = await world.running()
        world.worker.send(pickle.dumps(Bomb(exploded)))
        world.push(request, "fine", finished=STOP)
        assert (await call).json()["response"] == "fine"
    assert not exploded.exists()
