"""OpenAI's `/v1/models`."""

from collections.abc import Mapping
from typing import Protocol

from fastapi import APIRouter
from starlette.responses import Response

from gateway.golang.json import encode
from gateway.golang.times import NANOSECONDS_PER_SECOND
from gateway.openai.frames import JSON
from remuda.v1 import store_pb2


class ModelSource(Protocol):
    """What knows the installed models (`gateway.links.store.StoreLink`)."""

    async def models(self) -> list[store_pb2.ModelSummary]: ...

    async def show(self, name: str, *, verbose: bool) -> store_pb2.ShowReply: ...


def add_model_routes(router: APIRouter, store: ModelSource) -> None:
    """The list of models, and each of them."""

    async def list_models() -> Response:
        models = [_model(model.name, model.modified_at_ns, model.namespace) for model in await store.models()]
        return _json({"object": "list", "data": models or None})

    async def retrieve_model(model: str) -> Response:
        reply = await store.show(model, verbose=False)
        namespace = reply.bundle.full_name.split("/")[1]
        return _json(_model(model, reply.modified_at_ns, namespace))

    router.add_api_route("/models", list_models, methods=["GET"])
    router.add_api_route("/models/{model}", retrieve_model, methods=["GET"])


def _model(name: str, modified_at_ns: int, namespace: str) -> dict[str, object]:
    created = modified_at_ns // NANOSECONDS_PER_SECOND
    return {"id": name, "object": "model", "created": created, "owned_by": namespace}


def _json(body: Mapping[str, object]) -> Response:
    return Response(encode(body), media_type=JSON)
