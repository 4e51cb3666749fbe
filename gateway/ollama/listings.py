"""The objects of `/api/tags`, `/api/ps` and `/api/show`."""

import time
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.golang.times import NANOSECONDS_PER_SECOND, NEVER_NS, local_time
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import store_pb2

LAST_NS = 253_402_300_799 * NANOSECONDS_PER_SECOND
"""The last second that Python's calendar knows."""


def details(message: store_pb2.Details, *, lengths: bool = True) -> dict[str, Any]:
    """The `details` object. `context_length` (tokens) and `embedding_length` are left out where unknown."""
    fields: dict[str, Any] = {
        "parent_model": message.parent_model,
        "format": message.format,
        "family": message.family,
        "families": list(message.families) or None,
        "parameter_size": message.parameter_size,
        "quantization_level": message.quantization_level,
    }
    if lengths and message.context_length:
        fields["context_length"] = message.context_length
    if lengths and message.embedding_length:
        fields["embedding_length"] = message.embedding_length
    return fields


def tag(model: store_pb2.ModelSummary) -> dict[str, Any]:
    """One installed model."""
    capabilities = {"capabilities": list(model.capabilities)} if model.capabilities else {}
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": local_time(model.modified_at_ns),
        "size": model.size,
        "digest": model.digest,
        "details": details(model.details),
        **capabilities,
    }


def running(residents: Iterable[pb.Resident]) -> list[dict[str, Any]]:
    """The loaded models, those that expire last first. Models that drain are not listed."""
    residents = [resident for resident in residents if resident.state != "draining"]
    return [_resident(resident) for resident in sorted(residents, key=_expiry_ns, reverse=True)]


def _resident(resident: pb.Resident) -> dict[str, Any]:
    return {
        "name": resident.model.name,
        "model": resident.model.name,
        "size": resident.size,
        "digest": resident.model.digest,
        "details": details(resident.model.details, lengths=False),
        "expires_at": local_time(_expiry_ns(resident)),
        "size_vram": resident.size_vram,
        "context_length": resident.num_ctx,
    }


def _expiry_ns(resident: pb.Resident) -> int:
    """Unix time; for what never expires, some 292 years from now."""
    if resident.HasField("expires_at_ns"):
        return min(resident.expires_at_ns, LAST_NS)
    return min(time.time_ns() + NEVER_NS, LAST_NS)


def model_description(reply: store_pb2.ShowReply, *, system: str) -> dict[str, Any]:
    """The reply to `/api/show`. `system` replaces the model's own."""
    bundle = reply.bundle
    optional: dict[str, Any] = {
        "license": "\n".join(reply.licenses),
        "modelfile": reply.modelfile,
        "parameters": reply.parameters,
        "template": reply.template,
        "system": system or bundle.system,
    }
    messages = [{"role": message.role, "content": message.content} for message in bundle.messages]
    tensors = [{"name": t.name, "type": t.type, "shape": list(t.shape)} for t in reply.tensors]
    late: dict[str, Any] = {"tensors": tensors, "capabilities": list(bundle.capabilities)}
    projector = {"projector_info": orjson.loads(reply.projector_info_json)} if reply.projector_info_json else {}
    return (
        _present(optional)
        | {"details": details(bundle.details)}
        | _present({"messages": messages})
        | {"model_info": orjson.loads(reply.model_info_json or "{}")}
        | projector
        | _present(late)
        | {"modified_at": local_time(reply.modified_at_ns)}
        | _present({"requires": reply.requires})
    )


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
