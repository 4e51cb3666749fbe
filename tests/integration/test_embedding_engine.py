"""The embedder on real llama.cpp contexts; what is right is what llama_cpp's own high-level class gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import gguf
import llama_cpp
import numpy as np
import pytest
from numpy.typing import NDArray
from support.embedding_models import CONTEXT, write_bert, write_llama_embedder
from support.engine_run import PATIENT
from support.scripted import PROMPT, write_scripted_model

from workers.engine.context import Context, ContextOptions
from workers.engine.embedding import Embedder, EmbeddingJob, Vectors
from workers.engine.embedding_context import EmbeddingContext, EmbeddingOptions
from workers.engine.engine import Engine, EngineOptions
from workers.engine.llama import LoadError
from workers.engine.model import Model, ModelOptions
from workers.engine.pieces import Piece
from workers.engine.runner import Output, Runner
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import FinishReason, Sequence, SequenceKey

TEXTS = ("the horse runs over the hill", "a herd", "the ranch ropes!", "hill")
WRITERS: dict[str, Callable[[Path], Path]] = {
    "bert, mean": write_bert,
    "bert, cls": lambda path: write_bert(path, pooling=gguf.PoolingType.CLS),
    "llama, mean": lambda path: write_llama_embedder(path, pooling=gguf.PoolingType.MEAN),
    "llama, last": lambda path: write_llama_embedder(path, pooling=gguf.PoolingType.LAST),
    "llama, made to generate": lambda path: write_llama_embedder(path, pooling=None),
}
IN_PIECES = ("llama, last", "llama, made to generate")
STEPS = 200


@dataclass
class Sample:
    """A model file, and what llama_cpp says about TEXTS."""

    path: Path
    tokens: list[list[int]]
    vectors: list[NDArray[np.float32]]
    long: tuple[list[int], NDArray[np.float32]]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("embedders")
    return {
        name: sample_of(name, write(folder / f"{number}.gguf")) for number, (name, write) in enumerate(WRITERS.items())
    }


def sample_of(name: str, path: Path) -> Sample:
    # llama_cpp leaves a model that generates without pooling; we pool its last token
    more = {"pooling_type": llama_cpp.LLAMA_POOLING_TYPE_LAST} if name == "llama, made to generate" else {}
    size = {"n_ctx": CONTEXT, "n_batch": CONTEXT, "n_ubatch": CONTEXT}
    model = llama_cpp.Llama(str(path), embedding=True, n_threads=1, verbose=False, **size, **more)

    def vector(text: str) -> NDArray[np.float32]:
        return np.array(cast(Any, model.embed(text)), np.float32)

    long = " ".join(TEXTS)
    tokens = [model.tokenize(text.encode()) for text in TEXTS]
    sample = Sample(path, tokens, [vector(text) for text in TEXTS], (model.tokenize(long.encode()), vector(long)))
    model.close()
    return sample


@dataclass
class Run:
    """What came out of an embedder, job by job."""

    embedder: Embedder
    jobs: list[EmbeddingJob] = field(default_factory=list)
    vectors: dict[tuple[int, int], NDArray[np.float32]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    batches: int = 0
    _meanwhile: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.embedder.bind(self._take)

    def add(self, *inputs: list[int]) -> EmbeddingJob:
        job = EmbeddingJob(SequenceKey(len(self.jobs), 0), "gateway", list(inputs))
        self.jobs.append(job)
        self.embedder.add(job)
        return job

    def steps(self, room: int = CONTEXT, meanwhile: Callable[[], None] | None = None) -> "Run":
        self._meanwhile = meanwhile
        for _ in range(STEPS):
            if not self.embedder.jobs:
                break
            self.batches += 1
            self.embedder.step(room)
        return self

    def _take(self, outputs: list[Vectors]) -> None:
        for output in outputs:
            number = output.request.key.request_id
            assert number not in self.ended, "an output after the last one"
            for index, vector in output.vectors:
                self.vectors[number, index] = vector
            if output.ended:
                self.ended.append(number)
        if self._meanwhile is not None:
            self._meanwhile()


def embedder_on(path: Path, *, num_ctx: int = CONTEXT, batch_tokens: int = CONTEXT) -> Embedder:
    model = Model(ModelOptions(str(path)), lambda _: None)
    # llama_cpp computes without flash attention unless asked; on a CPU that one rounds to half precision
    options = EmbeddingOptions(num_ctx, batch_tokens, threads=1, flash_attention=False)
    return Embedder(lambda: EmbeddingContext(model, options), num_ctx, model.vocabulary.size)


def close(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return bool(np.allclose(one, other, rtol=1e-3, atol=1e-4))


@pytest.mark.parametrize("name", WRITERS)
def test_vectors_are_llama_cpps_own(samples: dict[str, Sample], name: str) -> None:
    sample = samples[name]
    run = Run(embedder_on(sample.path))
    for tokens in sample.tokens:
        run.add(tokens)
        run.steps()
    assert all(close(run.vectors[number, 0], vector) for number, vector in enumerate(sample.vectors))


@pytest.mark.parametrize("name", WRITERS)
def test_inputs_of_several_jobs_share_a_batch_and_do_not_see_each_other(samples: dict[str, Sample], name: str) -> None:
    sample = samples[name]
    run = Run(embedder_on(sample.path))
    run.add(sample.tokens[0], sample.tokens[1])
    run.add(sample.tokens[2], sample.tokens[3])
    run.steps()
    assert run.batches == 1
    found = [run.vectors[place] for place in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert all(close(one, other) for one, other in zip(found, sample.vectors, strict=True))
    assert {job.finish for job in run.jobs} == {FinishReason.STOP}


@pytest.mark.parametrize("name", WRITERS)
def test_more_inputs_than_fit_are_computed_batch_after_batch(samples: dict[str, Sample], name: str) -> None:
    sample = samples[name]
    run = Run(embedder_on(sample.path))
    run.add(*sample.tokens * 5)
    run.steps(room=40)
    assert run.batches > 2
    assert all(close(run.vectors[0, index], sample.vectors[index % 4]) for index in range(20))


@pytest.mark.parametrize("name", IN_PIECES)
def test_an_input_that_is_longer_than_a_batch_is_computed_in_pieces(samples: dict[str, Sample], name: str) -> None:
    tokens, expected = samples[name].long
    run = Run(embedder_on(samples[name].path, num_ctx=256, batch_tokens=32))
    run.add(samples[name].tokens[3], tokens, samples[name].tokens[3])
    run.steps()
    assert len(tokens) > 64
    assert close(run.vectors[0, 1], expected)
    assert close(run.vectors[0, 2], samples[name].vectors[3])


@pytest.mark.parametrize("batch_tokens", [100, 257, 300])
def test_a_batch_may_have_any_size(samples: dict[str, Sample], batch_tokens: int) -> None:
    sample = samples["bert, mean"]
    run = Run(embedder_on(sample.path, num_ctx=300, batch_tokens=batch_tokens))
    run.add(sample.tokens[0])
    run.steps()
    assert close(run.vectors[0, 0], sample.vectors[0])


def test_an_input_that_has_to_be_whole_and_does_not_fit_fails_alone(samples: dict[str, Sample]) -> None:
    sample = samples["bert, mean"]
    run = Run(embedder_on(sample.path, batch_tokens=6))
    run.add(sample.tokens[0])
    run.add(sample.tokens[1])
    run.steps()
    assert run.jobs[0].error == "the input is too large: 6 tokens fit"
    assert run.jobs[0].invalid
    assert close(run.vectors[1, 0], sample.vectors[1])


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ([], "the input is empty"),
        ([[5], []], "the input is empty"),
        ([[5] * (CONTEXT + 1)], "the input is longer than the context length"),
        ([[5, 10_000]], "the input has a token that is not in the vocabulary"),
        ([[-1]], "the input has a token that is not in the vocabulary"),
    ],
)
def test_a_job_that_cannot_run_ends_with_an_error(
    samples: dict[str, Sample], inputs: list[list[int]], error: str
) -> None:
    run = Run(embedder_on(samples["bert, mean"].path))
    job = run.add(*inputs)
    run.steps()
    assert (job.finish, job.error, run.ended) == (FinishReason.ERROR, error, [0])


def test_a_cancelled_job_ends_while_another_goes_on(samples: dict[str, Sample]) -> None:
    sample = samples["bert, mean"]
    run = Run(embedder_on(sample.path))
    run.add(*sample.tokens * 50)
    run.add(*sample.tokens)
    run.steps(room=16, meanwhile=lambda: run.embedder.cancel(SequenceKey(0, 0)))
    assert run.jobs[0].finish is FinishReason.CANCELLED
    assert run.jobs[1].finish is FinishReason.STOP
    assert run.batches < 10


def test_a_short_job_does_not_wait_for_a_long_one(samples: dict[str, Sample]) -> None:
    sample = samples["bert, mean"]
    run = Run(embedder_on(sample.path))
    run.add(*sample.tokens * 50)
    run.add(sample.tokens[1])
    run.steps(room=16)
    assert run.ended == [1, 0]


def test_a_context_that_cannot_be_made_fails_the_jobs_and_nothing_else() -> None:
    def fail() -> EmbeddingContext:
        raise LoadError("no memory")

    run = Run(Embedder(fail, 128, 10))
    run.add([1])
    run.steps()
    assert (run.jobs[0].finish, run.jobs[0].error) == (FinishReason.ERROR, "no memory")


def test_a_reranking_model_gives_scores(tmp_path: Path) -> None:
    run = Run(embedder_on(write_bert(tmp_path / "rank.gguf", pooling=gguf.PoolingType.RANK)))
    run.add([2, 5, 3], [2, 6, 3])
    run.steps()
    assert run.vectors[0, 0].shape == (1,)
    assert run.vectors[0, 0] != run.vectors[0, 1]


# ---- beside generations ----


def runner_outputs(runner: Runner) -> list[Output]:
    outputs: list[Output] = []
    runner.bind(outputs.extend)
    for _ in range(STEPS):
        if not runner.busy:
            return outputs
        runner.step()
    raise AssertionError("the runner is still busy")


def sequence(number: int) -> Sequence:
    return Sequence(SequenceKey(number, 0), "gateway", PROMPT, SamplingParams(temperature=0), num_predict=50)


def test_embeddings_do_not_disturb_a_generation(tmp_path: Path) -> None:
    path = write_scripted_model(tmp_path / "script.gguf", "The horse ran over the hill END now")
    model = Model(ModelOptions(str(path)), lambda _: None)
    context = Context(model, ContextOptions(2, 256, batch_tokens=64, threads=1))
    engine = Engine(model, context, EngineOptions(2, 256, 8, PATIENT))
    embedder = Embedder(
        lambda: EmbeddingContext(model, EmbeddingOptions(256, 64, threads=1)), 256, model.vocabulary.size
    )
    runner = Runner(engine, embedder, batch_tokens=64)
    runner.add(sequence(1))
    runner.add(EmbeddingJob(SequenceKey(2, 0), "gateway", [[1, 10, 11, 12]] * 20))
    outputs = runner_outputs(runner)
    assert (
        "".join(output.text for output in outputs if isinstance(output, Piece)) == "The horse ran over the hill END now"
    )
    given = [index for output in outputs if isinstance(output, Vectors) for index, _ in output.vectors]
    assert sorted(given) == list(range(20))
    first_vectors = next(index for index, output in enumerate(outputs) if isinstance(output, Vectors))
    assert any(isinstance(output, Piece) for output in outputs[first_vectors:]), "they ran in turn"


def test_a_model_that_only_embeds_refuses_to_generate(samples: dict[str, Sample]) -> None:
    runner = Runner(None, embedder_on(samples["bert, mean"].path), 64)
    runner.add(sequence(1))
    (output,) = runner_outputs(runner)
    assert output.ended
    assert (output.request.finish, output.request.error) == (
        FinishReason.ERROR,
        "this model embeds and does not generate",
    )
