#!/bin/sh
# Regenerates the stubs of inference.proto into OUT (default: the server's package). Needs the "proto" dependency group.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
out=${1:-../../server/conveyor_server/inference}
"$python" -m grpc_tools.protoc -I. --python_out="$out" --mypy_out="$out" inference.proto
# A pool of its own: client libraries in the same process register the same names in the default pool.
sed -i 's/_descriptor_pool\.Default()/_descriptor_pool.DescriptorPool()/' "$out/inference_pb2.py"
