"""Remuda, a drop-in replacement for the Ollama server. This package holds what all processes share."""

import os
from importlib.metadata import PackageNotFoundError, version

# gRPC reads this when it is imported. Its fork handlers start threads in the child, which sometimes crash the child
# between fork and exec. Remuda's children use gRPC only after exec, so they need no handlers.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

try:
    __version__ = version("remuda")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.0.0"
