"""conveyor deploy k8s: Kubernetes manifests, sized by what conveyor tune measured."""

from __future__ import annotations

import sys

from conveyor_cli.kubernetes.settings import DeploySettings

SUMMARY = "write Kubernetes manifests sized by what tune measured"
EXAMPLE = "conveyor deploy k8s --plan tuned.yaml --rate 2000 --image registry.example/conveyor-server:1 --out k8s"

Settings = DeploySettings


def run(settings: DeploySettings) -> None:
    """Writes a kustomize overlay and says what a pod gets. Raises UsageError for a plan that is none."""
    from conveyor_cli.kubernetes.overlay import write_overlay
    from conveyor_cli.kubernetes.sizing import MIB

    sizing = write_overlay(settings)
    memory = "" if sizing.memory_request is None else f" and {sizing.memory_request // MIB} MiB"
    sys.stdout.write(
        f"written to {settings.out}: {sizing.replicas} to {sizing.max_replicas} pods of {sizing.cpu_request / 1000:g} "
        f"CPUs{memory}, each for {sizing.rows_per_second} rows/s\n"
    )
    if settings.overlay != "monitoring":
        sys.stdout.write("nothing scales them by itself: that needs --overlay monitoring\n")
    sys.stderr.write(f"next: kubectl apply --kustomize {settings.out}\n")
