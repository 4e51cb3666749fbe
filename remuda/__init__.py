"""Remuda, a drop-in replacement for the Ollama server. This package holds what all processes share."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("remuda")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.0.0"
