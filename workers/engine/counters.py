"""The counters of an engine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the start, except for the parked ones: they are those of now. The names are WorkerStats'."""

    prefill_tokens: int = 0
    decode_tokens: int = 0  # all that were generated
    decode_steps: int = 0  # that gave running streams their next tokens
    cached_tokens: int = 0  # of prompts, not computed because the KV cache held them
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    preemptions: int = 0
    parked_bytes: int = 0
    parked_states: int = 0
