"""Model names in requests: the local name in them, and whether they mean a model of Ollama's cloud."""

import re

from gateway.errors import forbidden, invalid

CLOUD_DISABLED = "ollama cloud is disabled: remote model is unavailable"
MAX_NAME = 1024
"""Characters of a name at most. All parts at their longest take some 600; suffixes are stripped one by one."""

_SOURCE = re.compile(r":(cloud|local)$", re.IGNORECASE)
_CLOUD_TAG = re.compile(r":[^/:]*-cloud$", re.IGNORECASE)


def local_name(name: str) -> str:
    """The name to look up in the store. Raises GatewayError for a text too long to be a name, and for a model of the
    cloud, which Remuda never offers."""
    if len(name) > MAX_NAME:
        raise invalid("invalid model name")
    rest, sources = name.strip(), set[str]()
    while suffix := _SOURCE.search(rest):
        sources.add(suffix[1].lower())
        rest = rest[: suffix.start()]
    if _CLOUD_TAG.search(rest):
        sources.add("cloud")
    if len(sources) > 1:
        raise invalid(f'use either :local or :cloud, not both: "{name}"')
    if "cloud" in sources:
        raise forbidden(CLOUD_DISABLED)
    return rest
