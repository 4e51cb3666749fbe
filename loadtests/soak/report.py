"""What a soak showed, as Markdown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from loadtests.soak.honest import Latencies
from loadtests.soak.usage import Usage

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Phase:
    """The honest clients' share of a phase."""

    name: str
    latencies: Latencies


@dataclass(frozen=True, slots=True)
class Soak:
    """All that was measured."""

    phases: list[Phase]
    base: Mapping[str, Usage]
    peak: Mapping[str, Usage]
    """While there were hostile clients."""
    end: Mapping[str, Usage]
    attacks: Mapping[str, int]


def markdown(soak: Soak) -> str:
    """The tables."""
    return "\n".join((*_latencies(soak), "", *_usages(soak), "", *_attacks(soak)))


def _latencies(soak: Soak) -> Iterator[str]:
    yield "| honest clients | chats | failed | first token p50 / p90 / p99 | whole p50 / p90 / p99 |"
    yield "|---|---|---|---|---|"
    for phase in soak.phases:
        each = phase.latencies
        first, whole = (_text(each.quantiles(values)) for values in (each.first_token, each.whole))
        yield f"| {phase.name} | {len(each.whole)} | {len(each.failures)} | {first} ms | {whole} ms |"
    for failure in {failure for phase in soak.phases for failure in phase.latencies.failures}:
        yield f"\nFailure: `{failure}`"


def _usages(soak: Soak) -> Iterator[str]:
    yield "| processes | number: base, peak, end | MiB: base, peak, end | descriptors: base, peak, end |"
    yield "|---|---|---|---|"
    for title in sorted({*soak.base, *soak.peak, *soak.end}):
        states = [usages.get(title, Usage()) for usages in (soak.base, soak.peak, soak.end)]
        numbers = ", ".join(str(state.processes) for state in states)
        memory = ", ".join(f"{state.memory / MIB:.0f}" for state in states)
        descriptors = ", ".join(str(state.descriptors) for state in states)
        yield f"| {title} | {numbers} | {memory} | {descriptors} |"


def _attacks(soak: Soak) -> Iterator[str]:
    yield f"{sum(count for name, count in soak.attacks.items() if ': ' not in name):,} attacks:"
    yield "; ".join(f"{name} {count:,}" for name, count in sorted(soak.attacks.items()))


def _text(values: list[float]) -> str:
    return " / ".join(f"{value:,.0f}" for value in values)
