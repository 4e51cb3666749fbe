"""The cache folder: models, and the peer's source and build."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def cache_folder() -> Path:
    """Returns `remuda/bench` in the user's cache folder, and creates it if need be."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "remuda" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
