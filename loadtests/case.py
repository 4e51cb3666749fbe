"""What a case of the benchmark is."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loadtests.options import CaseOptions
from loadtests.report import Report


@dataclass(frozen=True, slots=True)
class Case:
    """A subcommand. `defaults` are the sizes of the published figures, `quick` what changes for a mere trial."""

    name: str
    help: str
    run: Callable[[CaseOptions], Coroutine[Any, Any, Report]]
    defaults: CaseOptions
    quick: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def options(self, asked: Mapping[str, Any], *, quick: bool) -> CaseOptions:
        """The case's defaults, with what the command line names instead: None means that it does not."""
        base = self.defaults
        if quick:
            base = replace(base, model="tiny", rounds=1, warmup=0, tokens=12, prompt_tokens=16)
            base = replace(base, **self.quick)
        return replace(base, **{name: value for name, value in asked.items() if value is not None})
