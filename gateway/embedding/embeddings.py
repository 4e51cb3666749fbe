"""The way of an embedding request: resolve the model, tokenise and cut the inputs, submit them, order the vectors."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.embedding.request import EmbeddingReply, EmbeddingRequest
from gateway.embedding.vectors import Vector, read_vector, scaled, shortened
from gateway.errors import ErrorKind, GatewayError, invalid, not_found, not_implemented
from gateway.generation.connection import ClientConnection
from gateway.generation.model_spec import model_spec
from gateway.generation.options import Options
from gateway.generation.options_resolver import OptionsResolver
from gateway.generation.record import RequestRecord
from gateway.links.attempts import Progress
from gateway.links.scheduler import SchedulerLink
from gateway.links.store import StoreLink
from gateway.links.submission import Submission
from gateway.prompt.vocabulary.tokenizer import Tokenizer
from gateway.prompt.vocabulary.vocabularies import Vocabularies
from remuda.groups import groups
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import store_pb2, wire_pb2

POOLING_NONE, POOLING_LAST, POOLING_RANK = 0, 3, 4
"""llama.cpp's special pooling types. Only with LAST may an input be computed in pieces; a model with NONE is run with
LAST. RANK gives scores instead of vectors."""

TOO_LONG = "the input length exceeds the context length"


@dataclass(slots=True)
class Results:
    """The results of the worker so far."""

    vectors: list[Vector | None]
    """By input; None = not there yet."""
    tokens: int = 0
    prefill_ns: int = 0
    running_ns: int = 0
    """When a slot took the first group, on the monotonic clock."""

    def add(self, start: int, embeddings: Sequence[wire_pb2.Embedding]) -> None:
        """Adds vectors of the group whose first input is at `start`. Raises GatewayError like `read_vector`."""
        for embedding in embeddings:
            self.vectors[start + embedding.input] = read_vector(embedding.vector)

    def end_group(self, usage: pb.Usage, progress: Progress) -> None:
        self.tokens += usage.prompt_tokens
        self.prefill_ns += usage.prefill_ns
        self.running_ns = self.running_ns or progress.running_ns


class Embeddings:
    """Runs the embedding requests of all surfaces."""

    def __init__(
        self,
        store: StoreLink,
        scheduler: SchedulerLink,
        vocabularies: Vocabularies,
        options: OptionsResolver,
        settings: Settings,
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._vocabularies = vocabularies
        self._options = options
        self._settings = settings

    async def embed(
        self, request: EmbeddingRequest, connection: ClientConnection, record: RequestRecord
    ) -> EmbeddingReply:
        """The vectors of all inputs. Raises GatewayError, also when only one of them fails. Cancelling the task cancels
        the request everywhere."""
        bundle = await self._resolve(request.model)
        options = await self._options.resolve(request.options, bundle)
        spec = model_spec(bundle, options)
        if not request.inputs:
            await self._scheduler.load(spec, request.keep_alive_ns)
            record.outcome = "load"
            return EmbeddingReply([])
        if bundle.pooling_type == POOLING_RANK:
            raise not_implemented("reranking is")
        inputs = await self._tokenize(request, bundle, options)
        results = await self._run(request, spec, inputs, record)
        vectors = [_vector_for(request, vector) for vector in results.vectors]
        record.outcome, record.prompt_tokens = "embed", results.tokens
        load_ns = results.running_ns - connection.arrived_ns
        return EmbeddingReply(vectors, results.tokens, connection.elapsed_ns, load_ns)

    async def _resolve(self, model: str) -> store_pb2.Bundle:
        try:
            return await self._store.resolve(model)
        except GatewayError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                raise not_found(f'model "{model}" not found, try pulling it first') from None
            raise

    async def _tokenize(self, request: EmbeddingRequest, bundle: store_pb2.Bundle, options: Options) -> list[list[int]]:
        vocabulary = await self._vocabularies.get(bundle)
        limit = token_limit(bundle, options, self._settings.embedding_batch)
        inputs = await vocabulary.tokenize_all(request.inputs, limit)
        return [fit(tokens, vocabulary.tokenizer, limit, request.truncate) for tokens in inputs]

    async def _run(
        self, request: EmbeddingRequest, spec: pb.ModelSpec, inputs: list[list[int]], record: RequestRecord
    ) -> Results:
        results = Results([None] * len(inputs))
        for start, group in groups(inputs, len, self._settings.embedding_group):
            embed = wire_pb2.Embed(inputs=[wire_pb2.EmbedInput(tokens=tokens) for tokens in group])
            work = wire_pb2.Work(embed=embed)
            submission = self._scheduler.submission(spec, request.keep_alive_ns, work)
            record.id = record.id or submission.id
            try:
                await _collect(submission, start, results)
            except GatewayError as error:
                raise _failure(error, submission.progress, request) from None
            record.load_ns, record.prefill_ns = results.running_ns - record.arrived_ns, results.prefill_ns
        return results


async def _collect(submission: Submission, start: int, results: Results) -> None:
    async with aclosing(submission.outputs()) as outputs:
        async for output in outputs:
            results.add(start, output.embeddings)
            if output.finished:
                results.end_group(output.finished.usage, submission.progress)


def token_limit(bundle: store_pb2.Bundle, options: Options, batch: int) -> int:
    """Tokens of one input at most. A model that pools all tokens of an input computes them in one batch."""
    in_pieces = "embedding" not in bundle.capabilities or bundle.pooling_type in (POOLING_NONE, POOLING_LAST)
    if in_pieces:
        return options.num_ctx
    return min(options.num_ctx, options.load_options().num_batch or batch)


def fit(tokens: list[int], tokenizer: Tokenizer, limit: int, truncate: bool) -> list[int]:
    """The first `limit` tokens, with the special ones at both ends. Raises GatewayError."""
    if not tokens:
        raise invalid("input content cannot be empty")
    if len(tokens) <= limit:
        return tokens
    if not truncate:
        raise invalid(TOO_LONG)
    closing = tokenizer.closing
    if limit <= tokenizer.adds_bos + len(closing):
        raise invalid("input after truncation exceeds maximum context length")
    return tokens[: limit - len(closing)] + closing


def _failure(error: GatewayError, progress: Progress, request: EmbeddingRequest) -> GatewayError:
    """The client's error. A worker calls only inputs invalid that are too long; its own failures have the kind that
    the request says."""
    if error.kind is ErrorKind.INVALID:
        return invalid(TOO_LONG)
    return GatewayError(request.failure, error.message) if progress.running_ns else error


def _vector_for(request: EmbeddingRequest, vector: Vector | None) -> Vector:
    """A vector in the form that the request wants. Raises GatewayError where it is missing."""
    if vector is None:
        raise GatewayError(request.failure, "the worker gave no embedding for an input")
    if request.normalise:
        vector = shortened(scaled(vector), request.dimensions)
    return vector
