"""What `/api/show` shows of a model."""

import orjson

from remuda.v1 import store_pb2 as pb
from store.bundle import JINJA_KEY, OpenedModel, make_bundle
from store.errors import CorruptModelError
from store.gguf.header import Gguf, read_gguf
from store.gguf.metadata import Value
from store.gguf.reader import InvalidGgufError
from store.modelfile.render import render_modelfile, render_parameters
from store.weights import WeightsFile

_HIDDEN_KEYS = frozenset({"general.name", JINJA_KEY})
_SPLIT_PREFIX = "split."
"""Keys that number the files of a split model; they say nothing about the model itself."""


def make_show(model: OpenedModel, *, verbose: bool) -> pb.ShowReply:
    """The metadata's arrays are null unless `verbose`. Raises CorruptModelError."""
    projectors = model.weights.projectors
    return pb.ShowReply(
        bundle=make_bundle(model),
        licenses=model.layers.licenses,
        modelfile=render_modelfile(model),
        parameters=render_parameters(model.layers.params),
        model_info_json=_info_json(model.weights.model, verbose=verbose),
        projector_info_json=_info_json(projectors[0], verbose=verbose) if projectors else "",
        tensors=[
            pb.TensorInfo(name=tensor.name, type=tensor.type.name, shape=tensor.shape)
            for tensor in model.weights.model.header.tensors
        ],
        modified_at_ns=model.installed.modified_at_ns,
        requires=model.layers.config.requires,
        template=model.templates.preferred().text,
    )


def _info_json(file: WeightsFile, *, verbose: bool) -> str:
    header = _with_arrays(file) if verbose else file.header
    info: dict[str, Value] = {
        key: value
        for key, value in header.metadata.items()
        if key not in _HIDDEN_KEYS and not key.startswith(_SPLIT_PREFIX)
    }
    info["general.parameter_count"] = file.header.parameter_count
    return orjson.dumps(info, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()


def _with_arrays(file: WeightsFile) -> Gguf:
    try:
        return read_gguf(file.path, arrays=True)
    except (InvalidGgufError, FileNotFoundError) as error:
        raise CorruptModelError(f"blob {file.digest} cannot be used: {error}") from None
