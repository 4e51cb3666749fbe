"""Trains cria on the CPU: ``python -m models.cria.train``. It continues from the last checkpoint."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from models.cria.model import Cria, Shape, parameter_count
from models.cria.packing import IntArray, Rows, cached, positions, start_token
from models.cria.tokens import VOCABULARY

WORK = Path(__file__).parents[1] / ".work"
_WARMUP, _DECAY = 60, 0.5
_MUON_RATE, _ADAM_RATE = 0.02, 0.003


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--work", type=Path, default=WORK)
    return parser.parse_args()


def _optimizers(model: nn.Module) -> list[Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    named = list(model.named_parameters())
    matrices = [value for name, value in named if value.ndim == 2 and name.startswith("layers.")]
    others = [value for name, value in named if value.ndim != 2 or not name.startswith("layers.")]
    return [
        Muon(matrices, lr=_MUON_RATE, momentum=0.95, weight_decay=0.02),
        AdamW(others, lr=_ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def _rate(step: int, steps: int) -> float:
    """The factor of the learning rate: it rises, stays, and falls linearly to almost zero."""
    rest = (steps - step) / (steps * _DECAY)
    return min(1.0, (step + 1) / _WARMUP, max(rest, 0.01))


def _set_rates(optimizers: list[Optimizer], factor: float) -> None:
    for optimizer, base in zip(optimizers, (_MUON_RATE, _ADAM_RATE), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = base * factor


def _tensor(values: IntArray) -> Tensor:
    return torch.from_numpy(values)  # pyright: ignore[reportUnknownMemberType]


def _batch(rows: Rows, step: int, options: argparse.Namespace, start: int) -> tuple[Tensor, Tensor, Tensor]:
    batch = slice(step * options.batch, (step + 1) * options.batch)
    tokens = rows.tokens[batch]
    places = positions(tokens, start, 4096, np.random.default_rng([options.seed, step]))
    return _tensor(tokens).long(), _tensor(places), _tensor(rows.weights[batch])


def _update(model: Cria, optimizers: list[Optimizer], batch: tuple[Tensor, Tensor, Tensor]) -> float:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(*batch)
    loss.backward()  # pyright: ignore[reportUnknownMemberType]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


class Pace:
    """Chooses between all threads and one thread. On a busy machine threads wait for each other."""

    def __init__(self, threads: int) -> None:
        self.choices = (threads, 1) if threads > 1 else (1,)
        self.seconds = dict.fromkeys(self.choices, 0.0)
        self.current, self.start = threads, 0.0

    def begin(self, step: int) -> None:
        """Sets the threads of a step. Each choice is measured now and then; otherwise the faster one is used."""
        probe = step % 20
        best = min(self.choices, key=self.seconds.__getitem__)
        self.current = self.choices[probe] if probe < len(self.choices) else best
        torch.set_num_threads(self.current)
        self.start = time.monotonic()

    def end(self) -> None:
        self.seconds[self.current] = time.monotonic() - self.start


def _save(path: Path, model: Cria, optimizers: list[Optimizer], step: int, seconds: float) -> None:
    state: dict[str, Any] = {
        "shape": asdict(model.shape),
        "model": model.state_dict(),
        "step": step,
        "seconds": seconds,
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _resume(path: Path, model: Cria, optimizers: list[Optimizer]) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return state["step"], state["seconds"]


def main() -> None:
    options = _options()
    torch.manual_seed(options.seed)  # pyright: ignore[reportUnknownMemberType]
    model = Cria(Shape(VOCABULARY))
    optimizers = _optimizers(model)
    path = options.work / "checkpoint.pt"
    first, spent = _resume(path, model, optimizers)
    rows = cached(options.work, options.seed, options.steps * options.batch, options.length)
    start, begun, mean, pace = start_token(), time.monotonic() - spent, 0.0, Pace(options.threads)
    print(f"{parameter_count(model):,} parameters, from step {first} to {options.steps}", flush=True)
    for step in range(first, options.steps):
        pace.begin(step)
        _set_rates(optimizers, _rate(step, options.steps))
        loss = _update(model, optimizers, _batch(rows, step, options, start))
        pace.end()
        mean = loss if step == first else 0.95 * mean + 0.05 * loss
        seconds = time.monotonic() - begun
        if (step + 1) % 20 == 0:
            print(f"step {step + 1} loss {mean:.4f} {seconds:.0f} s, {pace.current} threads", flush=True)
        if (step + 1) % options.save_every == 0 or step + 1 == options.steps:
            _save(path, model, optimizers, step + 1, seconds)


if __name__ == "__main__":
    main()
