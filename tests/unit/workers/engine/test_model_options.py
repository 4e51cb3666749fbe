"""From settings and a request's options to what llama.cpp is told."""

import pytest

from remuda.settings import Settings
from remuda.settings.types import InvalidSetting
from workers.engine.llama import C, LoadError
from workers.engine.model import NUMA_STRATEGIES, SPLIT_MODES, Model, ModelOptions, load_mode


@pytest.mark.parametrize(
    ("use_mmap", "mlock", "direct_io", "mode"),
    [
        (None, False, False, "AUTO"),
        (True, False, False, "MMAP"),
        (False, False, False, "NONE"),
        (None, True, False, "MMAP_MLOCK"),
        (False, True, True, "MLOCK"),
        (None, False, True, "DIRECT_IO"),
        (False, False, True, "DIRECT_IO"),
        (True, False, True, "MMAP"),
    ],
)
def test_how_the_weights_are_read(use_mmap: bool | None, mlock: bool, direct_io: bool, mode: str) -> None:
    options = ModelOptions("", use_mmap=use_mmap, mlock=mlock, direct_io=direct_io)
    assert load_mode(options) == getattr(C, f"LLAMA_LOAD_MODE_{mode}")


def test_every_name_of_a_mode_is_one_of_llama_cpp() -> None:
    for name in (*SPLIT_MODES.values(), *NUMA_STRATEGIES.values()):
        assert isinstance(getattr(C, name), int)


def test_a_tensor_split_of_more_gpus_than_there_can_be_is_refused() -> None:
    with pytest.raises(LoadError, match="tensor split of 99 parts"):
        Model(ModelOptions("", tensor_split=(1.0,) * 99), lambda _: None)


def test_settings_for_loads_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMUDA_TENSOR_SPLIT", "3, 1")
    monkeypatch.setenv("REMUDA_SPLIT_MODE", "Row")
    monkeypatch.setenv("REMUDA_NUMA", "numactl")
    monkeypatch.setenv("REMUDA_CPU_AFFINITY", "0-1;2")
    settings = Settings()
    assert (settings.tensor_split, settings.split_mode, settings.numa) == ((3.0, 1.0), "row", "numactl")
    assert settings.cpu_affinity == ({0, 1}, {2})


@pytest.mark.parametrize(
    ("variable", "text", "name"),
    [
        ("REMUDA_SPLIT_MODE", "diagonal", "split_mode"),
        ("REMUDA_NUMA", "on", "numa"),
        ("REMUDA_TENSOR_SPLIT", "3,x", "tensor_split"),
        ("REMUDA_TENSOR_SPLIT", "0,0", "tensor_split"),
        ("REMUDA_TENSOR_SPLIT", "1,-1", "tensor_split"),
        ("REMUDA_TENSOR_SPLIT", "1,nan", "tensor_split"),
        ("REMUDA_CPU_AFFINITY", "all", "cpu_affinity"),
    ],
)
def test_what_cannot_be_read_gives_the_default_and_a_warning(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.warns(InvalidSetting):
        settings = Settings()
    assert getattr(settings, name) == Settings.model_fields[name].default
