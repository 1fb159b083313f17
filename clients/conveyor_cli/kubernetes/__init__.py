"""`conveyor deploy k8s`: Kubernetes manifests with the figures that `conveyor tune` measured."""
