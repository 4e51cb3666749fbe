"""Remuda: a drop-in replacement for the Ollama server. This package is what all processes share."""

import os
from importlib.metadata import PackageNotFoundError, version

# gRPC reads this when it is imported. Its fork handlers start threads in the child, which now and then crash it between
# fork and exec. No child of ours uses gRPC before it has replaced itself by exec.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

try:
    __version__ = version("remuda")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0.0.0"
