"""Digests: SHA-256 and no other algorithm."""

import re
from dataclasses import dataclass

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
_HEX = re.compile(r"[0-9a-f]{64}")


class InvalidDigestError(ValueError):
    """The text is not a digest."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256, as 64 lower-case hex digits."""

    hex: str

    def __post_init__(self) -> None:
        """Raises InvalidDigestError."""
        if not _HEX.fullmatch(self.hex):
            raise InvalidDigestError("invalid digest format")

    def __str__(self) -> str:
        """The spelling of manifests: `sha256:<64 hex>`."""
        return f"sha256:{self.hex}"

    @property
    def file_name(self) -> str:
        """The name of the blob's file: `sha256-<64 hex>`."""
        return f"sha256-{self.hex}"


def parse_digest(text: str) -> Digest:
    """Accepts `sha256:` or `sha256-` and 64 hex digits of either case. Raises InvalidDigestError."""
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise InvalidDigestError("invalid digest format")
    return Digest(match[1].lower())
