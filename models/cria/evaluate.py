"""Measures the greedy accuracy of cria behind a server: by category, for trained and for held-out phrasings.

``python -m models.cria.evaluate --url http://127.0.0.1:11434 --api ollama --model cria``; ``--api openai``
works with any server that speaks ``/v1/chat/completions`` (llama-server --jinja, Remuda).
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from models.cria.corpus import CATEGORIES, questions
from models.cria.judge import Reply, parse_calls, right
from models.cria.kinds import Json, Split, Turn
from models.cria.render import prompt_messages

_SEED, _TOKENS = 4711, 600


def _post(url: str, body: Json) -> Json:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.load(response)


def _openai_messages(messages: list[Json]) -> list[Json]:
    """Writes calls as OpenAI requires them: with ids, and with arguments as a string."""
    result: list[Json] = []
    for message in messages:
        calls: list[Any] = [
            {
                "id": f"call_{index}",
                "type": "function",
                "function": call["function"] | {"arguments": json.dumps(call["function"]["arguments"])},
            }
            for index, call in enumerate(message.get("tool_calls", []))
        ]
        extra: Json = {"tool_calls": calls} if calls else {}
        extra |= {"tool_call_id": "call_0"} if message["role"] == "tool" else {}
        result.append(message | extra)
    return result


def _openai(url: str, model: str, turn: Turn) -> Reply:
    body: Json = {
        "model": model,
        "messages": _openai_messages(prompt_messages(turn)),
        "temperature": 0,
        "max_tokens": _TOKENS,
    }
    body |= {"tools": list(turn.tools)} if turn.tools else {}
    message = _post(f"{url}/v1/chat/completions", body)["choices"][0]["message"]
    calls = parse_calls(message)
    return Reply(
        message.get("content") or "",
        message.get("reasoning_content") or message.get("reasoning") or "",
        calls,
    )


def _ollama(url: str, model: str, turn: Turn) -> Reply:
    body: Json = {
        "model": model,
        "messages": prompt_messages(turn),
        "stream": False,
        "tools": list(turn.tools),
        "options": {"temperature": 0, "num_predict": _TOKENS},
    }
    message = _post(f"{url}/api/chat", body)["message"]
    calls = parse_calls(message)
    return Reply(message.get("content") or "", message.get("thinking") or "", calls)


Client = Callable[[str, str, Turn], Reply]
_CLIENTS: dict[str, Client] = {"openai": _openai, "ollama": _ollama}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:11434")
    parser.add_argument("--api", choices=sorted(_CLIENTS), default="openai")
    parser.add_argument("--model", default="cria")
    parser.add_argument("--count", type=int, default=60, help="questions per category and kind of phrasing")
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--category", choices=CATEGORIES, action="append", help="only this one; may be repeated")
    parser.add_argument("--wrong", type=int, default=0, help="show so many wrong answers per category")
    return parser.parse_args()


def _show(turn: Turn, reply: Reply) -> None:
    expected = turn.completion() if not turn.think else f"[{turn.think}] {turn.completion()}"
    print(f"  system {turn.system!r} asked {turn.user!r}\n    wanted {expected!r}\n    got    {reply!r}")


def _score(options: argparse.Namespace, split: Split, category: str) -> float:
    turns = questions(_SEED, split, category, options.count)
    client = partial(_CLIENTS[options.api], options.url, options.model)
    with ThreadPoolExecutor(options.parallel) as pool:
        replies = list(pool.map(client, turns))
    wrong = [(turn, reply) for turn, reply in zip(turns, replies, strict=True) if not right(turn, reply)]
    for turn, reply in wrong[: options.wrong]:
        _show(turn, reply)
    return 100 * (1 - len(wrong) / len(turns))


def _table(options: argparse.Namespace) -> Iterator[tuple[str, float, float]]:
    for category in options.category or CATEGORIES:
        yield category, _score(options, "train", category), _score(options, "held", category)


def main() -> None:
    options = _options()
    print("| category | trained | held out |\n|---|---:|---:|")
    rows: list[tuple[str, float, float]] = []
    for category, trained, held in _table(options):
        rows.append((category, trained, held))
        print(f"| {category} | {trained:.1f} % | {held:.1f} % |", flush=True)
    trained = sum(row[1] for row in rows) / len(rows)
    held = sum(row[2] for row in rows) / len(rows)
    print(f"| **mean** | **{trained:.1f} %** | **{held:.1f} %** |")


if __name__ == "__main__":
    main()
