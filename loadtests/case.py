"""A case of the benchmark."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loadtests.options import CaseOptions
from loadtests.report import Report


@dataclass(frozen=True, slots=True)
class Case:
    """A subcommand."""

    name: str
    help: str
    run: Callable[[CaseOptions], Coroutine[Any, Any, Report]]
    defaults: CaseOptions
    """The sizes of the published figures."""
    quick: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The options that a mere trial changes."""

    def options(self, overrides: Mapping[str, Any], *, quick: bool) -> CaseOptions:
        """Returns the case's defaults, replaced by the command line's values. None keeps a default."""
        base = self.defaults
        if quick:
            base = replace(base, model="tiny", rounds=1, warmup=0, tokens=12, prompt_tokens=16)
            base = replace(base, **self.quick)
        return replace(base, **{name: value for name, value in overrides.items() if value is not None})
