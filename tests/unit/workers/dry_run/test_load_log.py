"""What is read from llama.cpp's log."""

import pytest

from workers.dry_run.load_log import MIB, LoadLog

WINDOWED = """\
llama_context:        CPU  output buffer size =     0.04 MiB
llama_kv_cache_iswa: creating non-SWA KV cache, size = 4096 cells
llama_kv_cache: layer   0: filtered
llama_kv_cache: layer   1: dev = CPU
llama_kv_cache:        CPU KV buffer size =     0.00 MiB
llama_kv_cache: size =    8.00 MiB (  4096 cells,   1 layers,  1/1 seqs), K (f16):    4.00 MiB, V (f16):    4.00 MiB
llama_kv_cache_iswa: creating     SWA KV cache, size = 512 cells
llama_kv_cache: layer   0: dev = CPU
llama_kv_cache: layer   1: filtered
llama_kv_cache: layer   2: dev = CPU
llama_kv_cache:        CPU KV buffer size =     0.00 MiB
llama_kv_cache: size =    2.00 MiB (   512 cells,   2 layers,  1/1 seqs), K (f16):    1.00 MiB, V (f16):    1.00 MiB
"""
RECURRENT = """\
llama_memory_recurrent, layer   0: dev = CPU
llama_memory_recurrent: layer   1: skipped
llama_memory_recurrent:        CPU RS buffer size =     0.50 MiB
llama_memory_recurrent: size =    0.50 MiB (     1 cells,   2 layers,  1 seqs  0 rs_seq), R (f32):    0.20 MiB
"""


@pytest.fixture
def log() -> LoadLog:
    return LoadLog()


def read(log: LoadLog, text: str) -> None:
    for line in text.splitlines():
        log.receive(line)


def test_each_layer_has_its_share_of_its_own_cache(log: LoadLog) -> None:
    read(log, WINDOWED)
    assert log.shares == {1: 8.0, 0: 1.0, 2: 1.0}
    assert log.output == round(0.04 * MIB)


def test_layers_with_more_heads_take_more_of_the_cache(log: LoadLog) -> None:
    log.begin_context({0: 3, 1: 5, 2: 1})
    read(log, WINDOWED)
    assert log.shares == {1: 8.0, 0: 1.5, 2: 0.5}


def test_a_recurrent_layer_has_its_state(log: LoadLog) -> None:
    read(log, RECURRENT)
    assert log.shares == {0: 0.5}


def test_the_last_context_is_forgotten_but_not_what_the_model_left_in_its_files(log: LoadLog) -> None:
    read(log, WINDOWED)
    read(log, "model has unused tensor blk.2.nextn.eh_proj.weight (size = 16384 bytes) -- ignoring")
    log.begin_context({})
    assert (log.shares, log.output) == ({}, 0)
    assert log.unused == {"blk.2.nextn.eh_proj.weight"}
