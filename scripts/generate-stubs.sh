#!/usr/bin/env bash
# Generates remuda/v1 from proto/. With --check it writes nothing, and fails if the committed stubs are out of date.
set -euo pipefail
cd "$(dirname "$0")/.."
out=.
if [ "${1:-}" = --check ]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
fi

PATH=$PWD/.venv/bin:$PATH .venv/bin/python -m grpc_tools.protoc -Iproto \
    --python_out="$out" --grpc_python_out="$out" --mypy_out=quiet:"$out" --mypy_grpc_out=quiet:"$out" \
    proto/remuda/v1/*.proto
rm -f "$out"/remuda/v1/wire_pb2_grpc.py "$out"/remuda/v1/wire_pb2_grpc.pyi # wire.proto has no services

if [ "$out" != . ]; then
    diff -r --exclude=__init__.py --exclude=__pycache__ "$out/remuda/v1" remuda/v1 ||
        { echo "Error: remuda/v1 is out of date, run make proto" >&2; exit 1; }
fi
