"""The requests and answers of Remuda and llama-server for a stream of tokens."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

OBJECT = TypeAdapter(dict[str, Any])

MODEL = "bench"
"""The name under which Remuda serves the benchmark's model."""

SAMPLING: dict[str, Any] = {
    "top_k": 40,
    "top_p": 0.9,
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_last_n": 64,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Ollama's defaults, spelled out for both servers: llama-server's own differ."""


class Ask(BaseModel):
    """One generation."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    tokens: int
    """The exact length of the answer: the benchmark's models never end by themselves."""
    seed: int = 0
    temperature: float = 0.8
    ignore_end: bool = True
    """llama-server only: Ollama has no such option, and the benchmark's models draw no end token."""
    after_chunks: int = 0
    """The request waits until every request with 0 here has received so many chunks."""
    until_others: bool = False
    """The client hangs up when the later requests have their answers. `tokens` is then only a bound."""
    answer_schema: dict[str, Any] | None = None
    """JSON schema of the answer."""
    draft_tokens: int | None = 0
    """Remuda only: tokens drafted in a step at most; None = the server's choice. Random weights often fall into loops,
    where drafts would flatter."""


@dataclass(frozen=True, slots=True)
class AnswerChunk:
    """One message of an answer. The last one has the counts."""

    text: str = ""
    token_ids: list[int] = field(default_factory=list[int])
    done: bool = False
    tokens: int = 0
    prompt_tokens: int = 0
    error: str = ""


class Dialect(Protocol):
    """A server's request path and body, and the meaning of a line of its answer."""

    path: str

    def body(self, ask: Ask) -> dict[str, Any]: ...

    def read(self, line: bytes) -> AnswerChunk | None: ...


class Ollama:
    """`POST /api/generate` with raw, NDJSON."""

    path = "/api/generate"

    def body(self, ask: Ask) -> dict[str, Any]:
        options = SAMPLING | {"num_predict": ask.tokens, "seed": ask.seed, "temperature": ask.temperature}
        if ask.draft_tokens is not None:
            options["draft_num_predict"] = ask.draft_tokens
        body: dict[str, Any] = {"model": MODEL, "prompt": ask.prompt, "raw": True, "stream": True, "options": options}
        return body if ask.answer_schema is None else body | {"format": ask.answer_schema}

    def read(self, line: bytes) -> AnswerChunk | None:
        if not line.strip():
            return None
        answer = json_object(line)
        if "error" in answer:
            return AnswerChunk(error=str(answer["error"]))
        return AnswerChunk(
            text=answer.get("response", ""),
            done=answer.get("done", False),
            tokens=answer.get("eval_count", 0),
            prompt_tokens=answer.get("prompt_eval_count", 0),
        )


class LlamaServer:
    """`POST /completion`, SSE."""

    path = "/completion"

    def body(self, ask: Ask) -> dict[str, Any]:
        request: dict[str, Any] = {"prompt": ask.prompt, "stream": True, "n_predict": ask.tokens, "return_tokens": True}
        if ask.answer_schema is not None:
            request["json_schema"] = ask.answer_schema
        return SAMPLING | request | {"seed": ask.seed, "temperature": ask.temperature, "ignore_eos": ask.ignore_end}

    def read(self, line: bytes) -> AnswerChunk | None:
        kind, _, data = line.partition(b": ")
        if line.startswith((b"{", b"error")):
            return AnswerChunk(error=line.decode(errors="replace"))
        if kind != b"data":
            return None
        answer = json_object(data)
        if "error" in answer:
            return AnswerChunk(error=str(answer["error"]))
        return AnswerChunk(
            text=answer.get("content", ""),
            token_ids=answer.get("tokens", []),
            done=answer.get("stop", False),
            tokens=answer.get("tokens_predicted", 0),
            prompt_tokens=answer.get("tokens_evaluated", 0),
        )


def json_object(text: bytes) -> dict[str, Any]:
    """Parses a JSON object. Anything else (a proxy's error page, half a line) becomes an error that quotes it."""
    try:
        return OBJECT.validate_json(text)
    except ValidationError:
        return {"error": f"unexpected answer: {text[:200]!r}"}


DIALECTS: dict[str, Dialect] = {"remuda": Ollama(), "llama-server": LlamaServer()}
