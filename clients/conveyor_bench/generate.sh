#!/bin/sh
# Regenerates the stubs of open_inference.proto into OUT (default: here). Needs the "proto" dependency group.
set -eu
cd "$(dirname "$0")"
out=${1:-.}
"${PYTHON:-python3}" -m grpc_tools.protoc -I. --python_out="$out" --mypy_out="$out" open_inference.proto
# A pool of its own: client libraries in the same process register the same names in the default pool.
sed -i 's/_descriptor_pool\.Default()/_descriptor_pool.DescriptorPool()/' "$out/open_inference_pb2.py"
