#!/usr/bin/env bash
# Installs one lock file into .venv and verifies its hashes. The output goes to .venv/setup.log.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1
log=.venv/setup.log

fail() {
    echo "Error: $*" >&2
    exit 1
}

require_compilers() {
    local missing=()
    for tool in gcc g++ make; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [ ${#missing[@]} -eq 0 ] || fail "${missing[*]} not found, needed to compile llama.cpp (Debian, Ubuntu: apt-get install gcc g++ make)"
}

find_python() {
    for candidate in python3.11 python3 python3.12 python3.13; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer found"
}

make_venv() {
    if [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
    local python
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python has no venv module (Debian, Ubuntu: apt-get install python3-venv)"
    "$python" -m venv --clear .venv
}

# Runs a command with its output in the log. Shows its progress, and the log's last lines if it fails.
logged() {
    "$@" >>"$log" 2>&1 </dev/null &
    local job=$! start=$SECONDS reports=0
    trap 'kill "$job" 2>/dev/null || true' EXIT
    while kill -0 "$job" 2>/dev/null; do
        sleep 0.2
        show_progress $((SECONDS - start))
    done
    clear_progress
    trap - EXIT
    wait "$job" && return
    tail -n 15 "$log" >&2
    fail "the setup failed, the whole log is in $log"
}

show_progress() {
    if [ -t 1 ]; then
        printf '\r\033[K  %ds  %.70s' "$1" "$(grep -aE '^ *(Collecting|Building|Installing|Downloading)' "$log" | tail -n 1)"
    elif [ $(($1 / 30)) -gt "$reports" ]; then
        reports=$(($1 / 30))
        echo "  still at it after $1 s"
    fi
}

clear_progress() {
    if [ -t 1 ]; then printf '\r\033[K'; fi
}

require_compilers
make_venv
: >"$log"
echo "Installing the packages of $lock into .venv (log: $log)."
if [ "$lock" = requirements.lock ]; then echo "The first time, llama.cpp is compiled: that takes a few minutes."; fi
pip=(.venv/bin/python -m pip install --disable-pip-version-check --no-input)
# Otherwise pip would install the wheel of another build of llama.cpp from its cache.
if [ -n "${CMAKE_ARGS:-}" ]; then pip+=(--no-cache-dir); fi
# pip itself comes first: an older pip does not cache the wheel of llama.cpp, and compiles it in every clone.
logged "${pip[@]}" --require-hashes -r requirements-build.lock
logged "${pip[@]}" --require-hashes -r "$lock"
logged "${pip[@]}" --no-deps --no-build-isolation --no-index --config-settings editable_mode=compat --editable .
