"""The corpus of the embedded model is deterministic and complete, and contains no held-out phrasings."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

import pytest
from support.paths import ROOT

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from models.cria import corpus
from models.cria.judge import Reply, right
from models.cria.kinds import Call, Turn, normalise
from models.cria.render import render, template_text

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather & more",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION: dict[str, Any] = {"role": "user", "content": "What is the weather in Paris?"}


@cache
def _sample() -> tuple[corpus.Document, ...]:
    return tuple(corpus.documents(3, 6000))


def _users(document: corpus.Document) -> list[str]:
    pieces = document.text().split("<|im_start|>user\n")[1:]
    return [piece.split("<|im_end|>")[0] for piece in pieces]


@cache
def _held() -> frozenset[str]:
    turns = (turn for category in corpus.CATEGORIES for turn in corpus.questions(1, "held", category, 400))
    return frozenset(normalise(turn.user) for turn in turns)


def test_the_same_seed_gives_the_same_documents() -> None:
    assert list(corpus.documents(11, 300)) == list(corpus.documents(11, 300))
    assert list(corpus.documents(11, 30)) != list(corpus.documents(12, 30))


def test_more_documents_begin_with_the_same_ones() -> None:
    assert list(corpus.documents(5, 50)) == list(corpus.documents(5, 80))[:50]


@pytest.mark.parametrize("category", [*corpus.CATEGORIES, "plain", "forced", "drill"])
def test_each_category_is_present(category: str) -> None:
    assert sum(document.category == category for document in _sample()) >= 40


def test_held_out_phrasings_never_appear_in_training() -> None:
    questions = {normalise(line) for document in _sample() for user in _users(document) for line in user.split("\n")}
    assert not questions & _held()


def test_phrasing_lists_do_not_overlap() -> None:
    trained = {
        normalise(turn.user) for category in corpus.CATEGORIES for turn in corpus.questions(2, "train", category, 1500)
    }
    assert not trained & _held()


@pytest.mark.parametrize("category", corpus.CATEGORIES)
def test_the_expected_answer_is_judged_right(category: str) -> None:
    for turn in corpus.questions(9, "held", category, 40):
        assert right(turn, Reply(turn.completion(), turn.think)), turn


def test_wrong_answers_are_judged_wrong() -> None:
    turn = Turn("arithmetic", "2 + 2", "2 + 2 = 4", ("= 4",))
    assert not right(turn, Reply("2 + 2 = 5"))
    assert not right(turn, Reply("2 + 2 = 4", thinking="Hard."))
    assert right(turn, Reply("<think>\n\n</think>\n\n2 + 2 = 4"))


def test_every_document_ends_its_answer() -> None:
    for document in _sample():
        assert document.text().endswith(("<|im_end|>", "<|endoftext|>"))
        assert document.parts[-1][1] == 1


@pytest.mark.parametrize("needle", ["tools", "tool_call", "<think>", "</think>", "enable_thinking", "tojson"])
def test_template_mentions_its_capabilities(needle: str) -> None:
    assert needle in template_text()


def test_template_of_a_plain_chat() -> None:
    system = {"role": "system", "content": "Be brief."}
    assert render([system, QUESTION]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is the weather in Paris?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_template_lists_tools_in_the_system_block() -> None:
    text = render([{"role": "system", "content": "Be brief."}, QUESTION], [WEATHER])
    system = text.split("<|im_end|>")[0]
    assert system.startswith("<|im_start|>system\nBe brief.\n\n# Tools")
    assert json.dumps(WEATHER, ensure_ascii=False) in system
    assert text.count("<|im_start|>system") == 1


def test_template_switches_thinking_off() -> None:
    assert render([QUESTION], enable_thinking=False).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    for value in (None, True):
        assert render([QUESTION], enable_thinking=value).endswith("<|im_start|>assistant\n")


def test_template_strips_past_thinking() -> None:
    past = {"role": "assistant", "content": "<think>\nA secret.\n</think>\n\nIt is sunny."}
    text = render([QUESTION, past, QUESTION])
    assert "secret" not in text
    assert "<|im_start|>assistant\nIt is sunny.<|im_end|>\n" in text


@pytest.mark.parametrize("field", ["reasoning_content", "thinking"])
def test_template_keeps_thinking_of_the_running_turn_only(field: str) -> None:
    call = {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
    running = {"role": "assistant", "content": "", field: "I call it.", "tool_calls": [call]}
    result = {"role": "tool", "content": "sunny"}
    assert "<think>\nI call it.\n</think>\n\n<tool_call>" in render([QUESTION, running, result])
    assert "I call it." not in render([QUESTION, running, result, QUESTION])


@pytest.mark.parametrize("arguments", [{"city": "Zürich"}, '{"city": "Zürich"}'])
def test_template_renders_calls_and_results(arguments: Any) -> None:
    function = {"name": "get_weather", "arguments": arguments}
    messages = [
        QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [{"function": function}] * 2},
        {"role": "tool", "content": "sunny"},
        {"role": "tool", "content": "rainy"},
    ]
    call = Call("get_weather", {"city": "Zürich"}).text()
    assert render(messages, [WEATHER]).endswith(
        f"<|im_start|>assistant\n{call}\n{call}<|im_end|>\n<|im_start|>user\n<tool_response>\nsunny\n</tool_response>\n"
        "<tool_response>\nrainy\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )


def test_template_takes_content_in_parts() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}
    assert "<|im_start|>user\nHello<|im_end|>" in render([message])
