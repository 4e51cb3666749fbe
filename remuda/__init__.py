"""Remuda: a drop-in replacement for the Ollama server. This package is what all processes share."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("remuda")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0.0.0"
