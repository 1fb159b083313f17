"""REST: the Open Inference Protocol as JSON, and `/v1/classify`. Each request becomes a message of the gRPC wire."""
