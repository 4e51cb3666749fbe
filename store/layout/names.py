"""Model names: `[scheme://][host/][namespace/]model[:tag]`, and where their manifests lie."""

import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from store.errors import InvalidNameError

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A complete, valid name. Every part is a safe file name: not empty, no slash, no dot at the beginning."""

    host: str
    namespace: str
    model: str
    tag: str

    def __post_init__(self) -> None:
        """Raises InvalidNameError."""
        patterns = (_HOST, _NAMESPACE, _PART, _PART)
        if not all(pattern.fullmatch(part) for pattern, part in zip(patterns, self.parts, strict=True)):
            raise InvalidNameError

    @property
    def parts(self) -> tuple[str, str, str, str]:
        return astuple(self)

    @property
    def full(self) -> str:
        """`registry.ollama.ai/library/cria:latest`."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def shortest(self) -> str:
        """The name without the default host and namespace, always with the tag."""
        if self.host.lower() != DEFAULT_HOST:
            return self.full
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    def manifest_path(self, manifests: Path) -> Path:
        """The manifest's file below the folder `manifests`."""
        return manifests.joinpath(*self.parts)


def parse_name(text: str) -> Name:
    """The name that `text` spells, with the defaults filled in. Raises InvalidNameError."""
    scheme = _SCHEME.match(text)
    rest = text[scheme.end() :] if scheme else text
    path, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        path, tag = rest, DEFAULT_TAG
    qualifier, has_namespace, model = path.rpartition("/")
    host, has_host, namespace = qualifier.rpartition("/")
    return Name(
        host if has_host else DEFAULT_HOST,
        namespace if has_namespace else DEFAULT_NAMESPACE,
        model,
        tag,
    )


def canonicalise(name: Name, installed: Iterable[Name]) -> Name:
    """`name` in the store's spelling: each part takes the case of an equal part of an installed name."""
    spellings: tuple[dict[str, str], ...] = ({}, {}, {}, {})
    for other in sorted(installed):
        for spelling, part in zip(spellings, other.parts, strict=True):
            spelling.setdefault(part.lower(), part)
    return Name(*(spelling.get(part.lower(), part) for spelling, part in zip(spellings, name.parts, strict=True)))
