"""What `/api/show` shows of a model."""

from dataclasses import dataclass

import orjson

from remuda.v1 import store_pb2 as pb
from store.bundle import JINJA_KEY, OpenedModel, make_bundle
from store.gguf.header import Gguf
from store.gguf.metadata import Value
from store.layout.layers import ShownLayers
from store.modelfile.render import render_modelfile, render_parameters

_HIDDEN_KEYS = frozenset({"general.name", JINJA_KEY})
_SPLIT_PREFIX = "split."
"""Keys that number the files of a split model; they say nothing about the model itself."""


@dataclass(frozen=True, slots=True)
class ShownMetadata:
    """The headers whose metadata is shown: with their arrays, if somebody wants these."""

    model: Gguf
    projector: Gguf | None


def make_show(model: OpenedModel[ShownLayers], metadata: ShownMetadata) -> pb.ShowReply:
    """Arrays that the metadata lacks are null."""
    return pb.ShowReply(
        bundle=make_bundle(model),
        licenses=model.layers.licenses,
        modelfile=render_modelfile(model),
        parameters=render_parameters(model.layers.params),
        model_info_json=_info_json(metadata.model, model.weights.model.header.parameter_count),
        projector_info_json=_projector_json(metadata.projector),
        tensors=[
            pb.TensorInfo(name=tensor.name, type=tensor.type.name, shape=tensor.shape)
            for tensor in model.weights.model.header.tensors
        ],
        modified_at_ns=model.installed.modified_at_ns,
        requires=model.layers.config.requires,
        template=model.templates.preferred().text,
    )


def _projector_json(projector: Gguf | None) -> str:
    return "" if projector is None else _info_json(projector, projector.parameter_count)


def _info_json(header: Gguf, parameter_count: int) -> str:
    info: dict[str, Value] = {
        key: value
        for key, value in header.metadata.items()
        if key not in _HIDDEN_KEYS and not key.startswith(_SPLIT_PREFIX)
    }
    info["general.parameter_count"] = parameter_count
    return orjson.dumps(info, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()
