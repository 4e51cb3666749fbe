"""Loads what a StartWorker message names: weights, contexts, projector and drafter."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import wire_pb2 as wire
from workers.cores import usable_cores
from workers.engine.context import Context, ContextOptions
from workers.engine.drafting.drafter import Drafter
from workers.engine.drafting.heads import Heads
from workers.engine.drafting.heads_file import has_heads
from workers.engine.drafting.hidden import AVAILABLE as HIDDEN_STATES
from workers.engine.drafting.model import DraftModel, same_vocabulary
from workers.engine.embedding import Embedder
from workers.engine.embedding_context import EmbeddingContext, EmbeddingOptions
from workers.engine.engine import Engine, EngineOptions
from workers.engine.llama import LoadError
from workers.engine.log import EngineLog
from workers.engine.media import MediaEncoder, MediaLimits, Projector, ProjectorOptions
from workers.engine.model import ALL_LAYERS, Model, ModelOptions, use_numa
from workers.engine.parking import Disk, Parking
from workers.engine.runner import Runner

log = get_logger()


def nothing() -> None:
    """Is told of a replica's growth for nobody."""


def load_weights(options: ModelOptions) -> Model:
    """Loads a model and reports no progress."""
    return Model(options, lambda _: None)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a replica is made of. Each function raises LoadError. A dry run has parts of its own."""

    model: Callable[[ModelOptions], Model] = load_weights
    context: Callable[[Model, ContextOptions], Context] = Context
    embedding_context: Callable[[Model, EmbeddingOptions], EmbeddingContext] = EmbeddingContext


class Loader:
    """Loads the model of one replica."""

    def __init__(
        self,
        start: wire.StartWorker,
        settings: Settings,
        engine_log: EngineLog,
        parts: Parts,
        on_growth: Callable[[], None] = nothing,
    ) -> None:
        """`on_growth` is called when the replica takes more memory later."""
        self._start = start
        self._spec, self._options = start.model, start.model.options
        self._settings = settings
        self._engine_log = engine_log
        self._parts = parts
        self._on_growth = on_growth

    def load(self) -> tuple[Model, Runner]:
        """Loads the model. Raises LoadError.

        An embedding model gets no context that generates. A generating model gets its embedding context with the first
        embedding request.
        """
        use_numa(self._settings.numa)
        model = self.model()
        embedder = Embedder(partial(self.embedding_context, model), self._options.num_ctx, model.vocabulary.size)
        if model.pooling is None:
            engine = self._engine(model)
        else:
            engine = None
            embedder.open()
        return model, Runner(engine, embedder, self._settings.batch_size)

    def model(self) -> Model:
        """Loads the weights. Raises LoadError."""
        return self._model(self._gpu_layers, self._spec.model_path, *self._spec.split_paths)

    def context(self, model: Model) -> Context:
        """Makes the context that generates. Raises LoadError."""
        settings = self._settings
        snapshots = settings.draft_snapshots if self._drafts else 0
        return self._context(model, draft_rows=settings.draft_rows, snapshots=snapshots)

    def drafter(self, model: Model, context: Context) -> Drafter | None:
        """Returns the given draft model, which may be heads alone, else the model's own heads, else None. Raises
        LoadError."""
        if not self._spec.draft_path:
            return self._heads(model, context) if model.heads else None
        self._engine_log.begin_context()
        small = self._model(ALL_LAYERS if self._gpu_layers else 0, self._spec.draft_path)
        if not same_vocabulary(small.vocabulary, model.vocabulary):
            raise LoadError("the draft model has another vocabulary than the model that it drafts for")
        if small.recurrent:
            log.warning("no drafts: a recurrent model cannot take back what it guessed", model=self._spec.name)
            return None
        # a draft file with heads of the model's own sizes belongs to this model; any other is a smaller model
        if small.heads and small.state_size == model.state_size and small.vocabulary.size == model.vocabulary.size:
            return self._heads(small, context)
        return DraftModel(self._context(small), self._start.slots, model.vocabulary.size)

    def embedding_context(self, model: Model) -> EmbeddingContext:
        """Makes the context that embeds. Raises LoadError."""
        options, settings = self._options, self._settings
        whole_inputs = model.pooling is not None
        batch_tokens = min(settings.embedding_batch, options.num_ctx) if whole_inputs else settings.batch_size
        self._engine_log.begin_context()
        context = self._parts.embedding_context(
            model,
            EmbeddingOptions(
                options.num_ctx, options.num_batch or batch_tokens, self._threads, settings.flash_attention
            ),
        )
        if not whole_inputs:
            self._on_growth()
        return context

    def projector_options(self) -> ProjectorOptions | None:
        """Returns how to load the projector; None = the model has none."""
        if not self._spec.projector_paths:
            return None
        settings = self._settings
        path, *further = self._spec.projector_paths
        if further:
            log.warning("one projector of several is used", model=self._spec.name, unused=len(further))
        return ProjectorOptions(
            path=path,
            threads=self._threads,
            batch_tokens=self._batch_tokens,
            limits=MediaLimits(settings.max_image_pixels, settings.max_sound_seconds),
            use_gpu=self._gpu_layers != 0,
            flash_attention=settings.flash_attention,
        )

    @property
    def _gpu_layers(self) -> int:
        """The layers that lie on GPUs, as the scheduler has decided; in a dry run, as the client wants."""
        placement = self._start.placement
        return placement.gpu_layers if placement.HasField("gpu_layers") else self._options.num_gpu

    def _model(self, gpu_layers: int, path: str, *split_paths: str) -> Model:
        options, settings, placement = self._options, self._settings, self._start.placement
        return self._parts.model(
            ModelOptions(
                path=path,
                split_paths=split_paths,
                gpu_layers=gpu_layers,
                split_mode=settings.split_mode if len(placement.devices) > 1 else "none",
                tensor_split=settings.tensor_split or tuple(map(float, placement.split)),
                use_mmap=options.use_mmap if options.HasField("use_mmap") else None,
                mlock=settings.mlock,
                direct_io=settings.direct_io,
                heads=self._drafts and HIDDEN_STATES and has_heads([path, *split_paths]),
            )
        )

    def _engine(self, model: Model) -> Engine:
        settings, slots, num_ctx = self._settings, self._start.slots, self._options.num_ctx
        context = self.context(model)
        options = EngineOptions(
            slots=slots,
            num_ctx=num_ctx,
            prefill_chunk=settings.prefill_chunk,
            max_gap=settings.max_gap,
            draft_tokens=settings.draft_tokens,
            draft_rows=settings.draft_rows,
            checkpoint_interval=settings.checkpoint_interval,
            adapters_kept=settings.adapters_kept,
        )
        media, draft = self._media(model), self.drafter(model, context)
        return Engine(model, context, options, parking=self._parking(), media=media, draft=draft)

    def _context(self, model: Model, *, draft_rows: int = 0, snapshots: int = 0, heads: bool = False) -> Context:
        settings, slots = self._settings, self._start.slots
        return self._parts.context(
            model,
            ContextOptions(
                sequences=slots,
                ctx_per_sequence=self._options.num_ctx,
                batch_tokens=self._batch_tokens,
                threads=self._threads,
                flash_attention=settings.flash_attention,
                kv_cache_type=settings.kv_cache_type,
                shared_cells=settings.kv_cells,
                draft_rows=draft_rows,
                snapshots=snapshots,
                heads=heads,
            ),
        )

    def _parking(self) -> Parking:
        settings = self._settings
        limit = settings.prompt_cache_disk
        return Parking(settings.prompt_cache_ram, Disk(settings.prompt_cache_folder, limit) if limit else None)

    def _media(self, model: Model) -> MediaEncoder | None:
        options = self.projector_options()
        if options is None:
            return None
        self._engine_log.begin_context()
        return MediaEncoder(Projector(model, options), self._settings.image_cache)

    @property
    def _batch_tokens(self) -> int:
        return max(self._options.num_batch or self._settings.batch_size, self._start.slots)

    @property
    def _drafts(self) -> bool:
        return self._settings.draft_tokens > 0 and self._settings.draft_rows > 0

    def _heads(self, model: Model, context: Context) -> Heads | None:
        """Returns the heads in `model`. They draft for the model of `context`."""
        settings = self._settings
        self._engine_log.begin_context()
        try:
            own = self._context(model, draft_rows=settings.draft_rows, heads=True)
        except LoadError as error:  # the model serves without them
            log.warning("no drafts by heads", reason=str(error))
            return None
        return Heads(own, context, self._start.slots, model.state_size)

    @property
    def _threads(self) -> int:
        """llama.cpp's threads. More threads than cores would spin against each other."""
        threads = min(self._options.num_thread, len(os.sched_getaffinity(0)))
        return threads or self._settings.threads or usable_cores()
