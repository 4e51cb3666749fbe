#!/usr/bin/env bash
# Resolves the lock files again: the packages to build with (pip, setuptools), to run with, and to develop with.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -x build/uv/bin/uv ]; then
    python3 -m venv build/uv
    build/uv/bin/pip install --quiet --disable-pip-version-check uv
fi

compile() {
    build/uv/bin/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
        --custom-compile-command "make lock" "$@"
}

printf 'pip>=25\nsetuptools>=80\n' | compile --upgrade - --output-file requirements-build.lock
compile --upgrade pyproject.toml --constraints requirements-build.lock --output-file requirements.lock
compile --upgrade pyproject.toml --extra dev --constraints requirements-build.lock --constraints requirements.lock \
    --output-file requirements-dev.lock
