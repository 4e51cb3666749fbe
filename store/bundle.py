"""Protocol messages about a model, made from its manifest, its small layers and its weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import orjson

from remuda.file_versions import FileVersion
from remuda.v1 import store_pb2 as pb
from store.capabilities import Evidence, detect_capabilities
from store.details import describe
from store.layout.layers import CoreLayers, SmallLayers
from store.layout.manifests import Installed
from store.template_choice import TemplateSources
from store.weights import Weights

JINJA_KEY: Final = "tokenizer.chat_template"

Layers = TypeVar("Layers", bound=CoreLayers, covariant=True)


@dataclass(frozen=True, slots=True)
class OpenedModel(Generic[Layers]):
    """An installed model with its weights checked, and with as many of its small layers as somebody wants."""

    installed: Installed
    files: Sequence[FileVersion]
    """All files that it was made from, as they were before they were read."""
    layers: Layers
    weights: Weights
    go_setting: bool | None  # OLLAMA_GO_TEMPLATE

    @property
    def templates(self) -> TemplateSources:
        config, header = self.layers.config, self.weights.model.header
        return TemplateSources(
            go=self.layers.template,
            jinja=header.text(JINJA_KEY),
            renderer=config.renderer,
            parser=config.parser,
            family=config.model_family or header.architecture,
            go_setting=self.go_setting,
        )


def make_bundle(model: OpenedModel[SmallLayers]) -> pb.Bundle:
    """All that a gateway needs to serve the model."""
    installed, layers, weights = model.installed, model.layers, model.weights
    header = weights.model.header
    return pb.Bundle(
        name=installed.name.shortest,
        full_name=installed.name.full,
        digest=installed.digest.hex,
        model_digest=weights.model.digest.hex,
        model_path=str(weights.model.path),
        split_paths=[str(file.path) for file in weights.splits],
        projector_paths=[str(file.path) for file in weights.projectors],
        adapter_paths=[str(file.path) for file in weights.adapters],
        draft_path=str(weights.draft.path) if weights.draft else "",
        go_template=layers.template,
        chat_template=model.templates.chosen(),
        system=layers.system,
        params_json=orjson.dumps(layers.params).decode(),
        messages=[pb.StoredMessage(role=message.role, content=message.content) for message in layers.messages],
        capabilities=capabilities(model),
        details=describe(installed.manifest, layers.config, header),
        renderer=layers.config.renderer,
        parser=layers.config.parser,
        size=installed.manifest.size,
        pooling_type=max(0, header.integer(header.own("pooling_type")) or 0),
    )


def make_summary(model: OpenedModel[CoreLayers]) -> pb.ModelSummary:
    """The model's line in a listing."""
    summary = make_bare_summary(model.installed)
    summary.details.CopyFrom(
        describe(model.installed.manifest, model.layers.config, model.weights.model.header),
    )
    summary.capabilities.extend(capabilities(model))
    return summary


def make_bare_summary(installed: Installed) -> pb.ModelSummary:
    """The line of a model whose other files are damaged: its manifest alone tells it."""
    return pb.ModelSummary(
        name=installed.name.shortest,
        digest=installed.digest.hex,
        size=installed.manifest.size,
        modified_at_ns=installed.modified_at_ns,
        namespace=installed.name.namespace,
    )


def capabilities(model: OpenedModel[CoreLayers]) -> list[str]:
    """The model's capabilities in Ollama's order."""
    return detect_capabilities(
        Evidence(
            model=model.weights.model.header,
            projectors=[file.header for file in model.weights.projectors],
            templates=model.templates,
            declared=model.layers.config.capabilities,
        )
    )
