"""A grammar that leaves no choice about a long text costs a worker neither its life nor time with every token."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.byte_vocabulary import add_byte_pair_vocabulary
from support.constrained import say_in_child
from support.memory_models import write_plain

from gateway.grammar.gbnf import lark_of
from gateway.grammar.rules import Rules, grammar_text, json_rules
from workers.engine.grammar import Grammars
from workers.engine.grammar_tokenizer import FORCED_BYTES
from workers.engine.model import Model, ModelOptions

SPLITS = ("deepseek-llm", "tekken", "gpt-4o")
"""Rules by which llama.cpp splits words with a regular expression that recurses at every character."""
LONG = "a" * 100_000


def write_model(folder: Path, split: str) -> Path:
    return write_plain(folder / f"{split}.gguf", partial(add_byte_pair_vocabulary, split=split))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path, SPLITS[0])


def _call(name: str) -> dict[str, Any]:
    fields = {"name": {"enum": [name]}, "arguments": {"type": "object"}}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


@pytest.mark.parametrize("split", SPLITS)
def test_a_long_constant_ends_no_worker(tmp_path: Path, split: str) -> None:
    text = say_in_child(write_model(tmp_path, split), grammar_text(json_rules({"const": LONG})), predict=20)
    assert text == '"' + "a" * (len(text) - 1)
    assert len(text) > 20


@pytest.mark.parametrize(
    ("rules", "begins"),
    [
        (json_rules({"enum": [f"{LONG}{number}" for number in range(5)]}), '"aaaa'),
        (json_rules({"anyOf": [_call(LONG), _call("b" + LONG)]}), '{"name": "'),
        (json_rules({"type": "object", "properties": {LONG: {}}, "required": [LONG]}), '{"aaaa'),
        ({"lark_grammar": lark_of(f'root ::= "{LONG}"')}, "aaaa"),
    ],
    ids=["enum", "tools", "property", "gbnf"],
)
def test_other_long_texts_that_must_come_end_no_worker(model: Path, rules: Rules, begins: str) -> None:
    text = say_in_child(model, grammar_text(rules), predict=20)
    assert text.startswith(begins)
    assert len(text) > 20


def test_a_token_of_a_long_text_is_no_more_work_than_one_of_a_short_text(model: Path) -> None:
    vocabulary = Model(ModelOptions(str(model)), lambda _: None).vocabulary
    constraint = Grammars(vocabulary).compile(grammar_text(json_rules({"const": "a" * 20_000}))).result()
    for _ in range(5):
        constraint.compute_masks([])
        forced = constraint.forced()
        assert 0 < len(forced) <= FORCED_BYTES
        constraint.accept(forced[0])


def test_a_text_is_cut_between_characters(model: Path) -> None:
    vocabulary = Model(ModelOptions(str(model)), lambda _: None).vocabulary
    constraint = Grammars(vocabulary).compile(grammar_text(json_rules({"const": "€" * 20_000}))).result()
    text = b"".join(map(vocabulary.piece, constraint.forced()))
    assert text[1:].decode() == "€" * (len(text) // 3)
