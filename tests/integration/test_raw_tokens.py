"""Token ids in requests and replies. The next request can begin with the tokens of a reply."""

from typing import Any

import httpx
import openai
import pytest
from support.serving import Server

PROMPT = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
GREEDY = {"temperature": 0, "seed": 1, "num_predict": 8}


def generate(server: Server, **fields: Any) -> Any:
    body = {"model": "cria", "stream": False, "raw": True, "options": GREEDY, **fields}
    return httpx.post(f"{server.url}/api/generate", json=body, timeout=20).json()


def test_a_reply_has_as_many_tokens_as_it_counts(server: Server) -> None:
    reply = generate(server, prompt=PROMPT, return_tokens=True)
    assert len(reply["tokens"]) == reply["eval_count"]
    assert "context" not in reply
    assert "tokens" not in generate(server, prompt=PROMPT)


def test_token_ids_give_the_same_reply_as_their_text(server: Server, compatible: openai.OpenAI) -> None:
    first = generate(server, prompt=PROMPT, return_tokens=True)
    prompt = generate(server, prompt="x", raw=False, template=PROMPT)["context"][: first["prompt_eval_count"]]
    again = compatible.completions.create(model="cria", prompt=prompt, temperature=0, seed=1, max_tokens=8)
    assert again.choices[0].text == first["response"]
    assert again.usage is not None
    assert again.usage.prompt_tokens == len(prompt)
    rest = compatible.completions.create(
        model="cria", prompt=[*prompt, *first["tokens"][:3]], temperature=0, seed=1, max_tokens=5
    )
    assert first["response"].endswith(rest.choices[0].text)


def test_each_of_several_prompts_has_its_optional_first_token(compatible: openai.OpenAI) -> None:
    prompts = ["What is the capital of France?", "What is the capital of Japan?"]
    alone = [compatible.completions.create(model="cria", prompt=prompt, temperature=0, seed=1) for prompt in prompts]
    together = compatible.completions.create(model="cria", prompt=prompts, temperature=0, seed=1)
    assert [choice.text for choice in together.choices] == [reply.choices[0].text for reply in alone]
    texts = ["", ""]
    for chunk in compatible.completions.create(model="cria", prompt=prompts, temperature=0, seed=1, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [reply.choices[0].text for reply in alone]


def test_ids_beyond_the_vocabulary_are_refused(compatible: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="prompt contains invalid tokens"):
        compatible.completions.create(model="cria", prompt=[[1], [1 << 20]])
