"""What carries gRPC. An engine takes a table of methods and knows nothing of models."""
