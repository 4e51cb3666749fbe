"""The engine and the wire name their fields alike, so that neither copies them one by one."""

from dataclasses import fields

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.engine.counters import Counters
from workers.engine.sampling.params import SamplingParams
from workers.worker.translate import sampling_of

LOAD = {"slots_busy", "waiting", "cells_used"}
"""The statistics that are no counters."""


def names_of(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


def test_sampling_parameters_have_the_names_of_the_message() -> None:
    assert names_of(SamplingParams) == set(wire.Sampling.DESCRIPTOR.fields_by_name)


def test_every_sampling_parameter_arrives() -> None:
    sent = wire.Sampling(**{field.name: number for number, field in enumerate(fields(SamplingParams))})
    assert sampling_of(sent) == SamplingParams(*range(len(fields(SamplingParams))))


def test_counters_have_the_names_of_the_statistics() -> None:
    assert names_of(Counters) == set(pb.WorkerStats.DESCRIPTOR.fields_by_name) - LOAD
