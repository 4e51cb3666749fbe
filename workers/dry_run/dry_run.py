"""Measures one model: what a replica of it takes, for each number of slots."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.dry_run.load_log import LoadLog
from workers.dry_run.weights import Weights, read_weights
from workers.engine.breakdown import ContextMemory, context_memory, projector_memory
from workers.engine.context import Context, ContextOptions
from workers.engine.embedding_context import EmbeddingContext, EmbeddingOptions
from workers.engine.llama import C, LoadError
from workers.engine.log import EngineLog
from workers.engine.media import projector_params
from workers.engine.model import Model, ModelOptions
from workers.worker.loading import Loader, Parts


@dataclass(frozen=True, slots=True)
class MeasuredContext:
    """What a context takes. `shares` are the proportions of the layers in its cache."""

    context: Context | EmbeddingContext
    model: Model
    memory: ContextMemory
    output: int
    shares: dict[int, float]

    @property
    def own(self) -> int:
        """Bytes without the weights."""
        return self.memory.cache + self.memory.device + self.memory.host + self.output


def measure(question: wire.Measure, settings: Settings) -> wire.Measured:
    """Answers the question. llama.cpp may end the process over the model's files."""
    run = DryRun(question.model, settings)
    try:
        return wire.Measured(id=question.id, footprints=run.footprints(question.slots))
    except LoadError as error:
        return wire.Measured(id=question.id, error=run.explain(str(error)))


class DryRun:
    """Loads one model with the worker's own code, but without its weights."""

    def __init__(self, spec: pb.ModelSpec, settings: Settings) -> None:
        self._spec = spec
        self._settings = settings
        self._load_log = LoadLog()
        self._engine_log = EngineLog(verbose=False, listener=self._load_log.receive)
        self._models: dict[ModelOptions, Model] = {}
        self._contexts: list[MeasuredContext] = []  # of the present number of slots, the main one first

    def explain(self, failure: str) -> str:
        """Returns the failure, followed by llama.cpp's reason."""
        return self._engine_log.explain(failure)

    def footprints(self, slots: Iterable[int]) -> list[wire.Footprint]:
        """Returns what each number of slots takes, in their order. It ends before the first one that llama.cpp refuses.
        Raises LoadError where it refuses all."""
        model = self._loader(1).model()
        self._models.clear()  # a replica whose drafter is its own model loads it twice
        self._weights = read_weights([self._spec.model_path, *self._spec.split_paths], self._load_log.unused)
        projector = self._projector()
        footprints = list[wire.Footprint]()
        for count in slots:
            try:
                footprints.append(self._footprint(model, count, projector))
            except LoadError:
                if not footprints:
                    raise
                break
        return footprints

    def _footprint(self, model: Model, slots: int, projector: int) -> wire.Footprint:
        try:
            self._make_contexts(model, slots)
            main, *further = self._contexts
            models = {id(each.model): each.memory.weights for each in further if each.model is not model}
            companions = projector + sum(each.own for each in further) + sum(models.values())
            return footprint_of(main, self._weights, slots, companions)
        finally:
            for each in self._contexts:
                C.llama_free(each.context.pointer)
            self._contexts.clear()

    def _make_contexts(self, model: Model, slots: int) -> None:
        loader = self._loader(slots)
        if model.pooling is None:
            loader.drafter(model, loader.context(model))
        else:
            loader.embedding_context(model)

    def _projector(self) -> int:
        options = self._loader(1).projector_options()
        return 0 if options is None else projector_memory(options.path, projector_params(options))

    # ---- the parts of the loader ----

    def _loader(self, slots: int) -> Loader:
        start = wire.StartWorker(model=self._spec, slots=slots)
        parts = Parts(self._model, self._context, self._embedding_context)
        return Loader(start, self._settings, self._engine_log, parts)

    def _model(self, options: ModelOptions) -> Model:
        if options not in self._models:
            self._models[options] = Model(replace(options, no_alloc=True), lambda _: None)
        return self._models[options]

    def _context(self, model: Model, options: ContextOptions) -> Context:
        self._load_log.begin_context(self._weights.heads)
        context = Context(model, options)
        self._note(model, context)
        return context

    def _embedding_context(self, model: Model, options: EmbeddingOptions) -> EmbeddingContext:
        self._load_log.begin_context(self._weights.heads)
        context = EmbeddingContext(model, options)
        self._note(model, context)
        return context

    def _note(self, model: Model, context: Context | EmbeddingContext) -> None:
        log, memory = self._load_log, context_memory(context.pointer)
        self._contexts.append(MeasuredContext(context, model, memory, log.output, dict(log.shares)))


def footprint_of(main: MeasuredContext, weights: Weights, slots: int, companions: int) -> wire.Footprint:
    """Sorts the bytes of a replica. What llama.cpp counts beyond the files' tensors is the output's: padding, and on a
    GPU a copy of the token embeddings that are the output matrix, too."""
    memory = main.memory
    count = 1 + max([-1, *weights.layers, *main.shares])
    return wire.Footprint(
        slots=slots,
        weights=[weights.layers.get(layer, 0) for layer in range(count)],
        cache=in_proportion(memory.cache, [main.shares.get(layer, 0) for layer in range(count)]),
        input=weights.input,
        output=weights.output + max(memory.weights - weights.total, 0),
        compute=memory.device or memory.host,
        host=main.output + (memory.host if memory.device else 0),
        companions=companions,
    )


def in_proportion(total: int, shares: Sequence[float]) -> list[int]:
    """Shares out the total exactly; all of it goes to the first one where no share is known."""
    if not sum(shares):
        return [total if place == 0 else 0 for place in range(len(shares))]
    ends = [round(total * sum(shares[: place + 1]) / sum(shares)) for place in range(len(shares))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]
