"""The installed models. All calls block on files; callers run them in threads."""

from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import store_pb2 as pb
from store.bundle import OpenedModel, make_bare_summary, make_bundle, make_summary
from store.errors import CorruptModelError
from store.layout.blobs import Blobs
from store.layout.layers import LayerReader
from store.layout.manifests import Installed, Manifests
from store.layout.names import parse_name
from store.show import make_show
from store.weights import WeightsReader


class Library:
    """The models below one folder in Ollama's layout."""

    def __init__(self, settings: Settings) -> None:
        self.blobs = Blobs(settings.models / "blobs")
        self.manifests = Manifests(settings.models / "manifests", settings.max_metadata)
        self._layers = LayerReader(self.blobs, settings.max_metadata)
        self._weights = WeightsReader(self.blobs, settings.gguf_cache)
        self._go_setting = settings.go_template

    def prepare(self) -> None:
        """Makes the folders and checks that they are writable. Raises OSError."""
        self.blobs.prepare()
        self.manifests.prepare()

    def resolve(self, name: str) -> pb.Bundle:
        """Raises InvalidNameError, ModelNotFoundError, CorruptModelError."""
        return make_bundle(self._open_named(name))

    def show(self, name: str, *, verbose: bool) -> pb.ShowReply:
        """Raises InvalidNameError, ModelNotFoundError, CorruptModelError."""
        return make_show(self._open_named(name), verbose=verbose)

    def summaries(self) -> list[pb.ModelSummary]:
        """All models with a readable manifest, newest first."""
        return [self._summary(installed) for installed in self.manifests.all()]

    def _summary(self, installed: Installed) -> pb.ModelSummary:
        try:
            return make_summary(self._open(installed))
        except CorruptModelError as error:
            get_logger().warning("model is damaged", model=installed.name.shortest, reason=str(error))
            return make_bare_summary(installed)

    def _open_named(self, name: str) -> OpenedModel:
        return self._open(self.manifests.find(parse_name(name)))

    def _open(self, installed: Installed) -> OpenedModel:
        manifest = installed.manifest
        return OpenedModel(installed, self._layers.read(manifest), self._weights.read(manifest), self._go_setting)
