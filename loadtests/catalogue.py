"""All cases, in the order of `bench.py all`."""

from loadtests.case import Case
from loadtests.cases import (
    constrained,
    decode,
    host_cost,
    long_prompt,
    mixed_steps,
    occupancy,
    shared_prefix,
    speculation,
)

CASES: tuple[Case, ...] = (
    *decode.CASES,
    occupancy.CASE,
    shared_prefix.CASE,
    long_prompt.CASE,
    *constrained.CASES,
    host_cost.CASE,
    mixed_steps.CASE,
    speculation.CASE,
)
