"""Infill on a real server, for a model whose vocabulary has the tokens for it, though its template does not."""

from collections.abc import Generator

import ollama
import openai
import pytest
from support.models_folder import install_gguf, models_folder
from support.scripted import BOS, FIRST_BYTE, INFILL_MARKS, write_scripted_model
from support.serving import Server, running_server, short_folder

GREEDY = {"temperature": 0}


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    with short_folder() as root:
        folder = models_folder(root)
        path = write_scripted_model(root / "coder.gguf", "1 + 2", infill=True)
        install_gguf(folder, "coder", path.read_bytes())
        with running_server(root) as server:
            yield server


def test_only_a_model_with_infill_tokens_can_insert(native: ollama.Client) -> None:
    assert native.show("coder").capabilities == ["completion", "insert"]
    with pytest.raises(ollama.ResponseError, match=r"^registry.ollama.ai/library/cria:latest does not support insert"):
        native.generate("cria", "a = ", suffix="b")


def test_the_gap_between_prompt_and_suffix_is_filled(native: ollama.Client) -> None:
    reply = native.generate("coder", "a=", suffix=";b", options=GREEDY)
    assert reply.response == "1 + 2"
    bos, *rest = reply.context or []
    letters = {letter: FIRST_BYTE + ord(letter) for letter in "a=;b"}
    prefix, suffix, middle = rest[0], rest[3], rest[6]
    infill = [prefix, letters["a"], letters["="], suffix, letters[";"], letters["b"], middle]
    assert (bos, rest[:7]) == (BOS, infill)
    assert (suffix, middle) == (prefix + 1, prefix + 2)  # their order in the vocabulary
    assert reply.prompt_eval_count == len(infill) + 1


def test_marks_in_the_clients_text_are_text(native: ollama.Client) -> None:
    reply = native.generate("coder", "a=", suffix=INFILL_MARKS[2], options=GREEDY)
    assert (reply.response, reply.prompt_eval_count) == ("1 + 2", 1 + 3 + len("a=") + len(INFILL_MARKS[2]))


def test_openais_client_fills_the_gap(compatible: openai.OpenAI) -> None:
    reply = compatible.completions.create(model="coder", prompt="a=", suffix=";b", temperature=0)
    assert reply.choices[0].text == "1 + 2"
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 1 + 3 + len("a=;b")
