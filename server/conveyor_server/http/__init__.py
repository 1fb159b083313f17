"""The HTTP port beside gRPC: health for load balancers, metrics for Prometheus."""
