"""What is installed is what was reviewed: every package has a version and hashes, and the setup insists on them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("lock", ["requirements-build.lock", "requirements.lock", "requirements-dev.lock"])
def test_every_package_of_a_lock_has_a_version_and_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert packages
    for package in packages:
        assert re.match(r"[\w.-]+==[^\s;]+( ;[^-]+)?( +--hash=sha256:[0-9a-f]{64})+\s*$", package), package


def test_the_setup_installs_nothing_without_a_hash() -> None:
    installs = [line for line in (ROOT / "scripts" / "setup.sh").read_text().splitlines() if '"${pip[@]}"' in line]
    assert len(installs) == 3
    for line in installs:
        assert "--require-hashes" in line or "--no-index" in line, line
