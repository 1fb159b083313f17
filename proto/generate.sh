#!/bin/sh
# Regenerates the stubs into OUT (default: beside the .proto files). Needs the "proto" dependency group.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
out=${1:-.}
"$python" -m grpc_tools.protoc -I. \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" \
  conveyor/v1/model.proto conveyor/v1/classifier.proto conveyor/v1/admin.proto
rm -f "$out"/conveyor/v1/model_pb2_grpc.py "$out"/conveyor/v1/model_pb2_grpc.pyi # no service in that file
