"""What dry runs say, beside what the same models take when a worker loads them."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import pytest
from support.embedding_models import write_bert, write_llama_embedder
from support.memory_models import write_hybrid, write_plain, write_recurrent, write_windowed
from support.mtp_models import write_attention_with_head, write_recurrent_with_head
from support.split_models import split_gguf
from support.vision_models import write_projector, write_text_model

from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.dry_run.dry_run import measure
from workers.dry_run.load_log import MIB
from workers.engine.llama import C
from workers.engine.log import EngineLog, M
from workers.worker.loading import Loader, Parts

SLOTS = (1, 2, 5)
ROUNDING = 0.005 * MIB
"""What a line of the log may be wrong by."""


@dataclass(frozen=True, slots=True)
class Files:
    """A model's files and the folder for them."""

    folder: Path

    def plain(self) -> pb.ModelSpec:
        return spec(write_plain(self.folder / "model.gguf"))

    def split(self) -> pb.ModelSpec:
        return spec(*split_gguf(write_plain(self.folder / "model.gguf"), tensors_per_file=5))

    def windowed(self) -> pb.ModelSpec:
        return spec(write_windowed(self.folder / "model.gguf"))

    def recurrent(self) -> pb.ModelSpec:
        return spec(write_recurrent(self.folder / "model.gguf"))

    def hybrid(self) -> pb.ModelSpec:
        return spec(write_hybrid(self.folder / "model.gguf"))

    def bert(self) -> pb.ModelSpec:
        return spec(write_bert(self.folder / "model.gguf"), num_ctx=128)

    def last_token_embedder(self) -> pb.ModelSpec:
        return spec(write_llama_embedder(self.folder / "model.gguf", pooling=gguf.PoolingType.LAST))

    def heads(self) -> pb.ModelSpec:
        return spec(write_attention_with_head(self.folder / "model.gguf"))

    def recurrent_heads(self) -> pb.ModelSpec:
        return spec(write_recurrent_with_head(self.folder / "model.gguf"))

    def heads_as_draft(self) -> pb.ModelSpec:
        model = write_attention_with_head(self.folder / "model.gguf", with_head=False)
        heads = write_attention_with_head(self.folder / "heads.gguf", with_trunk=False)
        return spec(model, draft_path=str(heads))

    def draft_model(self) -> pb.ModelSpec:
        draft = write_windowed(self.folder / "draft.gguf")
        return spec(write_plain(self.folder / "model.gguf"), draft_path=str(draft))

    def vision(self) -> pb.ModelSpec:
        projector = write_projector(self.folder / "projector.gguf")
        return spec(write_text_model(self.folder / "model.gguf"), projector_paths=[str(projector)])

    def vision_and_sound(self) -> pb.ModelSpec:
        projector = write_projector(self.folder / "projector.gguf", vision="qwen2vl_merger", audio=True)
        return spec(write_text_model(self.folder / "model.gguf", "qwen2vl"), projector_paths=[str(projector)])


FAMILIES = (
    *(Files.plain, Files.split, Files.windowed, Files.recurrent, Files.hybrid, Files.bert, Files.last_token_embedder),
    *(Files.heads, Files.recurrent_heads, Files.heads_as_draft, Files.draft_model),
    *(Files.vision, Files.vision_and_sound),
)


def spec(
    path: Path, *split_paths: Path, num_ctx: int = 1000, draft_path: str = "", projector_paths: Sequence[str] = ()
) -> pb.ModelSpec:
    return pb.ModelSpec(
        model_path=str(path),
        split_paths=[str(each) for each in split_paths],
        draft_path=draft_path,
        projector_paths=projector_paths,
        options=pb.LoadOptions(num_ctx=num_ctx, num_gpu=0, num_thread=1),
    )


def total(footprint: wire.Footprint) -> int:
    parts = footprint.input, footprint.output, footprint.compute, footprint.host, footprint.companions
    return sum((*footprint.weights, *footprint.cache, *parts))


@pytest.fixture
def files(tmp_path: Path) -> Generator[Files]:
    yield Files(tmp_path)
    C.llama_log_set(C.llama_log_callback(), None)
    M.mtmd_helper_log_set(C.llama_log_callback(), None)


def loaded(model: pb.ModelSpec, slots: int, settings: Settings) -> int:
    """The bytes of a real load, as llama.cpp's log tells them."""
    engine_log = EngineLog(verbose=False)
    Loader(wire.StartWorker(model=model, slots=slots), settings, engine_log, Parts()).load()
    return engine_log.memory().total


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_a_dry_run_tells_what_a_load_takes(family: Callable[[Files], pb.ModelSpec], files: Files) -> None:
    model, settings = family(files), Settings()
    measured = measure(wire.Measure(id=7, model=model, slots=SLOTS), settings)
    assert (measured.id, measured.error, [each.slots for each in measured.footprints]) == (7, "", list(SLOTS))
    for footprint in measured.footprints:
        assert total(footprint) == pytest.approx(loaded(model, footprint.slots, settings), abs=8 * ROUNDING)


@pytest.mark.parametrize(
    "settings",
    [
        {"OLLAMA_KV_CACHE_TYPE": "q8_0"},
        {"OLLAMA_FLASH_ATTENTION": "0"},
        {"REMUDA_KV_CELLS": "4096"},
        {"REMUDA_BATCH_SIZE": "64", "REMUDA_DRAFT_ROWS": "0"},
    ],
    ids="+".join,
)
def test_settings_change_both_alike(settings: dict[str, str], files: Files) -> None:
    model, chosen = files.plain(), Settings(**settings)
    for footprint in measure(wire.Measure(model=model, slots=SLOTS), chosen).footprints:
        assert total(footprint) == pytest.approx(loaded(model, footprint.slots, chosen), abs=8 * ROUNDING)
