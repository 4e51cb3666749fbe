"""Runs embeddings: resolve the model, tokenise and cut the inputs, submit them, and bring the vectors in order."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from gateway.embedding.vectors import Vector, read_vector, scaled, shortened
from gateway.errors import ErrorKind, GatewayError, invalid, not_found, not_implemented
from gateway.generation.model_spec import model_spec
from gateway.generation.options import Options
from gateway.generation.pipeline import Serving
from gateway.generation.record import RequestRecord
from gateway.links.submission import Submission
from gateway.prompt.tokenizer import Tokenizer
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import store_pb2, wire_pb2

POOLING_NONE, POOLING_LAST, POOLING_RANK = 0, 3, 4
"""llama.cpp's pooling types that are no ordinary ones: only pooling the last token lets an input be computed in pieces,
which is also how a model without pooling is asked; a reranking model gives scores."""

TOO_LONG = "the input length exceeds the context length"


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """One request, as every surface states it."""

    model: str
    """The name as the client wrote it; replies and error texts repeat it."""
    inputs: tuple[str, ...]
    """Empty = load the model."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    keep_alive_ns: int | None = None
    truncate: bool = True
    normalise: bool = True
    dimensions: int = 0
    """Length of the vectors where it is positive and less than the model's."""
    failure: ErrorKind = ErrorKind.INVALID
    """What a failure of the worker is to the client."""


@dataclass(frozen=True, slots=True)
class EmbeddingReply:
    """Vectors in the order of the inputs. Durations are nanoseconds; zero = not told."""

    vectors: list[Vector]
    prompt_eval_count: int = 0
    total_ns: int = 0
    load_ns: int = 0


@dataclass(slots=True)
class Collected:
    """What has come from the worker so far."""

    vectors: list[Vector | None]
    tokens: int = 0

    def take(self, start: int, embeddings: Sequence[wire_pb2.Embedding]) -> None:
        """Takes vectors of a group whose first input is the one at `start`."""
        for embedding in embeddings:
            self.vectors[start + embedding.input] = read_vector(embedding.vector)


class Embeddings:
    """What all surfaces call."""

    def __init__(self, serving: Serving, settings: Settings) -> None:
        self._serving = serving
        self._settings = settings

    async def embed(self, asked: EmbeddingRequest, record: RequestRecord) -> EmbeddingReply:
        """The vectors of all inputs. Raises GatewayError, also when only one of them fails. Being cancelled cancels the
        request everywhere."""
        bundle = await self._resolve(asked.model)
        options = await self._serving.options(asked.options, bundle)
        spec = model_spec(bundle, options)
        if not asked.inputs:
            await self._serving.scheduler.load(spec, asked.keep_alive_ns)
            record.outcome = "load"
            return EmbeddingReply([])
        if bundle.pooling_type == POOLING_RANK:
            raise not_implemented("reranking is")
        inputs = await self._tokenize(asked, bundle, options)
        collected = await self._run(asked, spec, inputs, record)
        vectors = [_finished(vector, asked) for vector in collected.vectors]
        record.outcome, record.prompt_tokens = "embed", collected.tokens
        return EmbeddingReply(vectors, collected.tokens, record.elapsed_ns, record.load_ns)

    async def _resolve(self, model: str) -> store_pb2.Bundle:
        try:
            return await self._serving.store.resolve(model)
        except GatewayError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                raise not_found(f'model "{model}" not found, try pulling it first') from None
            raise

    async def _tokenize(self, asked: EmbeddingRequest, bundle: store_pb2.Bundle, options: Options) -> list[list[int]]:
        tokenizer = await self._serving.tokenizers.get(bundle)
        limit = token_limit(bundle, options, self._settings.embedding_batch)

        def tokenize() -> list[list[int]]:
            return [fit(tokenizer.tokenize(text), tokenizer, limit, asked.truncate) for text in asked.inputs]

        if sum(map(len, asked.inputs)) <= self._settings.tokenize_inline:
            return tokenize()
        return await asyncio.to_thread(tokenize)

    async def _run(
        self, asked: EmbeddingRequest, spec: pb.ModelSpec, inputs: list[list[int]], record: RequestRecord
    ) -> Collected:
        collected = Collected([None] * len(inputs))
        for start, group in groups(inputs, self._settings.embedding_group):
            embed = wire_pb2.Embed(inputs=[wire_pb2.EmbedInput(tokens=tokens) for tokens in group])
            work = wire_pb2.Work(embed=embed)
            submission = self._serving.scheduler.submission(spec, asked.keep_alive_ns, work)
            record.id = record.id or submission.id
            try:
                await _follow(submission, start, collected, record)
            except GatewayError as error:
                raise _failure(error, submission, asked) from None
        return collected


async def _follow(submission: Submission, start: int, collected: Collected, record: RequestRecord) -> None:
    async with aclosing(submission.batches()) as batches:
        async for batch in batches:
            collected.take(start, batch.embeddings)
            if batch.finished:
                collected.tokens += batch.finished.usage.prompt_tokens
                record.prefill_ns += batch.finished.usage.prefill_ns
    record.load_ns = record.load_ns or submission.running_ns - record.began_ns


def token_limit(bundle: store_pb2.Bundle, options: Options, batch: int) -> int:
    """Tokens of one input at most: a model that pools all its tokens computes them in one batch."""
    in_pieces = "embedding" not in bundle.capabilities or bundle.pooling_type in (POOLING_NONE, POOLING_LAST)
    if in_pieces:
        return options.num_ctx
    return min(options.num_ctx, options.load_options().num_batch or batch)


def fit(tokens: list[int], tokenizer: Tokenizer, limit: int, truncate: bool) -> list[int]:
    """The first `limit` tokens, special ones at both ends kept. Raises GatewayError."""
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


def groups(inputs: list[list[int]], tokens: int) -> Iterator[tuple[int, list[list[int]]]]:
    """Cuts a list of inputs into groups of about so many tokens, each with the index of its first input."""
    start, size = 0, 0
    for index, entry in enumerate(inputs):
        if index > start and size + len(entry) > tokens:
            yield start, inputs[start:index]
            start, size = index, 0
        size += len(entry)
    yield start, inputs[start:]


def _failure(error: GatewayError, submission: Submission, asked: EmbeddingRequest) -> GatewayError:
    """What the client is told: a failure of the worker has a status of its own on each surface."""
    if "too large" in error.message or "context length" in error.message:
        return invalid(TOO_LONG)
    return GatewayError(asked.failure, error.message) if submission.running_ns else error


def _finished(vector: Vector | None, asked: EmbeddingRequest) -> Vector:
    """A vector as the client wants it. Raises GatewayError for one that is none."""
    if vector is None:
        raise GatewayError(asked.failure, "the worker gave no embedding for an input")
    if asked.normalise:
        vector = shortened(scaled(vector), asked.dimensions)
    return vector
