"""Which drafter a model is loaded with."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from support.engine_run import GREEDY
from support.mtp_models import write_attention_with_head, write_recurrent_with_head

from remuda.settings import Settings
from remuda.v1 import serving_pb2 as serving
from remuda.v1 import wire_pb2 as wire
from workers.engine.llama import C
from workers.engine.log import EngineLog, M
from workers.engine.runner import Runner
from workers.engine.sequence import Sequence, SequenceKey
from workers.worker.loading import Loader, Parts

PROMPT = [3 + 7 * place for place in range(20)]
CPU = serving.Placement(devices=[serving.DeviceId(kind=serving.DEVICE_KIND_CPU)])
Load = Callable[..., Runner]


@pytest.fixture
def load() -> Generator[Load]:
    """Loads a model as a worker does, with the settings given as keywords."""
    engine_log = EngineLog(verbose=False)

    def load(path: Path, draft: Path | None = None, **settings: object) -> Runner:
        options = serving.LoadOptions(num_ctx=256, num_gpu=0, num_thread=1)
        spec = serving.ModelSpec(model_path=str(path), draft_path=str(draft or ""), options=options)
        start = wire.StartWorker(model=spec, placement=CPU, slots=2)
        asked = Settings().model_copy(update={"draft_tokens": 4, **settings})
        return Loader(start, asked, engine_log, Parts()).load()[1]

    yield load
    C.llama_log_set(C.llama_log_callback(), None)
    M.mtmd_helper_log_set(C.llama_log_callback(), None)


def drafted(runner: Runner) -> int:
    """Tokens that were drafted for a reply in which nothing repeats itself."""
    runner.add(Sequence(SequenceKey(1, 0), "gateway", PROMPT, GREEDY, num_predict=40))
    runner.bind(lambda _: None)
    while runner.busy:
        runner.step()
    return runner.counters.drafted_tokens


@pytest.mark.parametrize("write", [write_attention_with_head, write_recurrent_with_head])
def test_a_models_own_heads_draft_unless_drafting_is_off(
    write: Callable[[Path], Path], tmp_path: Path, load: Load
) -> None:
    path = write(tmp_path / "model.gguf")
    assert drafted(load(path)) > 0
    assert drafted(load(path, draft_tokens=0)) == 0
    assert drafted(load(path, draft_rows=0)) == 0


def test_a_model_whose_heads_were_left_out_of_the_file_serves_without(tmp_path: Path, load: Load) -> None:
    assert drafted(load(write_attention_with_head(tmp_path / "model.gguf", with_head=False))) == 0


def test_heads_may_come_as_the_draft_model(tmp_path: Path, load: Load) -> None:
    without = write_attention_with_head(tmp_path / "without.gguf", with_head=False)
    heads = write_attention_with_head(tmp_path / "heads.gguf", with_trunk=False)
    assert drafted(load(without, heads)) > 0
