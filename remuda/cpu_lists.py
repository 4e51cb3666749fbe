"""Sets of CPUs as `taskset` and the kernel write them: `0-3,8`, `0-15:2`."""

MAX_CPU = 8191
"""The highest CPU that is accepted. No kernel is built for more, and a typing error must not fill the memory."""


def parse_cpu_sets(text: str) -> tuple[frozenset[int], ...]:
    """Reads several sets, separated by semicolons: `0-3;4-7`. Raises ValueError."""
    return tuple(parse_cpu_set(part) for part in text.split(";") if part.strip())


def parse_cpu_set(text: str) -> frozenset[int]:
    """Reads one set, of at least one CPU. Raises ValueError."""
    cpus = frozenset(cpu for part in text.split(",") for cpu in _range(part.strip()))
    if not cpus:
        raise ValueError(text)
    return cpus


def write_cpu_set(cpus: frozenset[int]) -> str:
    """The text that `parse_cpu_set` reads."""
    return ",".join(map(str, sorted(cpus)))


def _range(text: str) -> range:
    """Reads `5`, `0-3` or `0-3:2` (every other one)."""
    span, _, step = text.partition(":")
    first, dash, last = span.partition("-")
    start, end, stride = int(first), int(last if dash else first), int(step or 1)
    if not 0 <= start <= end <= MAX_CPU or stride < 1:
        raise ValueError(text)
    return range(start, end + 1, stride)
