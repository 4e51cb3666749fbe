"""Model names as requests spell them: which speak of a local model, and which of Ollama's cloud."""

import re

from gateway.errors import forbidden, invalid

CLOUD_DISABLED = "ollama cloud is disabled: remote model is unavailable"
MAX_NAME = 1024
"""Characters of a name at most: all parts at their longest take some 600, and suffixes are stripped one by one."""

_SOURCE = re.compile(r":(cloud|local)$", re.IGNORECASE)
_CLOUD_TAG = re.compile(r":[^/:]*-cloud$", re.IGNORECASE)


def local_name(name: str) -> str:
    """The name to look up in the store. Raises GatewayError for what is too long to be a name, and for a model of
    the cloud, which Remuda never offers."""
    if len(name) > MAX_NAME:
        raise invalid("invalid model name")
    rest, sources = name.strip(), set[str]()
    while found := _SOURCE.search(rest):
        sources.add(found[1].lower())
        rest = rest[: found.start()]
    if _CLOUD_TAG.search(rest):
        sources.add("cloud")
    if len(sources) > 1:
        raise invalid(f'use either :local or :cloud, not both: "{name}"')
    if "cloud" in sources:
        raise forbidden(CLOUD_DISABLED)
    return rest
