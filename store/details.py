"""The `details` object of a model, from its config and, where that is silent, from its weights."""

from remuda.v1 import store_pb2 as pb
from store.gguf.header import Gguf
from store.gguf.tensor_types import file_type_name
from store.layout.layers import ModelConfig
from store.layout.manifests import LayerType, Manifest


def describe(manifest: Manifest, config: ModelConfig, weights: Gguf | None) -> pb.Details:
    """The config alone tells the details where `weights` is None."""
    models = manifest.of_type(LayerType.MODEL)
    parent = models[0].source if models else None
    details = pb.Details(
        parent_model=parent or "",
        format=config.model_format or "gguf",
        family=config.model_family,
        families=config.model_families or [],
        parameter_size=config.model_type,
        quantization_level=config.file_type,
        context_length=config.context_length,
        embedding_length=config.embedding_length,
    )
    if weights is not None:
        _complete(details, weights)
    return details


def _complete(details: pb.Details, weights: Gguf) -> None:
    """Fills empty fields from the weights."""
    details.family = details.family or weights.architecture
    details.parameter_size = details.parameter_size or human_number(weights.parameter_count)
    details.quantization_level = details.quantization_level or file_type_name(weights.integer("general.file_type"))
    details.context_length = details.context_length or _unsigned(weights, "context_length")
    details.embedding_length = details.embedding_length or _unsigned(weights, "embedding_length")


def _unsigned(weights: Gguf, key: str) -> int:
    return max(0, weights.integer(weights.own(key)) or 0)


def human_number(number: int) -> str:
    """A parameter count as Ollama writes it: 3.2B, 137M, 22.70M, 12K, 999."""
    for unit, suffix, digits in ((10**9, "B", 1), (10**6, "M", 2)):
        if number >= unit:
            return f"{number // unit}{suffix}" if number % unit == 0 else f"{number / unit:.{digits}f}{suffix}"
    return f"{number / 1000:.0f}K" if number >= 1000 else str(number)
