"""`make bench`: this machine's Conveyor beside bare gRPC echoes and bare ONNX Runtime, measured in one run."""
