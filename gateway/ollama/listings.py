"""The objects of `/api/tags`, `/api/ps` and `/api/show`."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from gateway.golang.times import NANOSECONDS_PER_SECOND, NEVER_NS, local_time
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import store_pb2

LEAVING = ("draining", "stopping")
"""States of a replica that takes no request any more."""

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
    """The loaded models, those that expire last first. Replicas that leave are not listed."""
    by_name: defaultdict[str, list[pb.Resident]] = defaultdict(list)
    for resident in sorted(residents, key=_expiry_ns, reverse=True):
        if resident.state not in LEAVING:
            by_name[resident.model.name].append(resident)
    return [_model(replicas) for replicas in by_name.values()]


def _model(replicas: Sequence[pb.Resident]) -> dict[str, Any]:
    """One model with all its replicas, of which the first expires last. `slots` and `replicas` are ours alone."""
    latest = replicas[0]
    return {
        "name": latest.model.name,
        "model": latest.model.name,
        "size": sum(replica.size for replica in replicas),
        "digest": latest.model.digest,
        "details": details(latest.model.details, lengths=False),
        "expires_at": local_time(_expiry_ns(latest)),
        "size_vram": sum(replica.size_vram for replica in replicas),
        "context_length": max(replica.num_ctx for replica in replicas),
        "slots": sum(replica.slots for replica in replicas),
        "replicas": len(replicas),
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
