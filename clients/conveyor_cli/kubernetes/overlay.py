"""A kustomize overlay on the project's own manifests, with a plan's settings and sizes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from conveyor_bench.tune.evidence import Evidence, read_evidence
from conveyor_cli.kubernetes.settings import DeploySettings
from conveyor_cli.kubernetes.sizing import LOAD_SHARE, MIB, Sizing, size
from conveyor_contract.errors import ConveyorError, UsageError

NAME = "conveyor"
PLANNED = ("engine", "workers", "instance_count", "intra_op_threads", "max_queue_delay")


def write_overlay(settings: DeploySettings) -> Sizing:
    """Writes the folder, and returns what was put into it.

    Raises UsageError where the plan or the manifests are not what they should be.
    """
    below = settings.manifests / "overlays" / settings.overlay
    if not (below / "kustomization.yaml").is_file():
        raise UsageError(
            f"there is no {below}/kustomization.yaml; run this in a checkout of Conveyor, or give --manifests "
            "FOLDER/deploy/kubernetes"
        )
    planned = read_plan(settings.plan)
    evidence = read_evidence(settings.plan)
    sizing = size(evidence, planned, settings.rate, settings.max_replicas)
    scaled = settings.overlay == "monitoring"
    files = {
        "kustomization.yaml": _kustomization(settings, below, planned, scaled),
        "pods.yaml": _pods(sizing, settings.overlay, scaled),
        **({"autoscaler.yaml": _autoscaler(sizing)} if scaled else {}),
    }
    comment = "".join(f"# {line}\n" for line in _in_words(evidence, sizing, settings))
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            text = yaml.safe_dump(content, sort_keys=False)
            (settings.out / name).write_text(comment + text, encoding="utf-8")
    except OSError as error:
        raise ConveyorError(f"cannot write {settings.out}: {error.strerror}") from error
    return sizing


def read_plan(file: Path) -> dict[str, Any]:
    """The settings of `conveyor serve` that the plan chose. Raises UsageError for anything else."""
    try:
        planned = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--plan: cannot read {file}: {error.strerror}; conveyor tune writes it") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--plan: {file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(planned, dict) or not planned.keys() >= set(PLANNED):
        raise UsageError(f"--plan: {file} is not a plan of conveyor tune, which sets {', '.join(PLANNED)}")
    return planned


def _kustomization(settings: DeploySettings, below: Path, planned: Mapping[str, Any], scaled: bool) -> dict[str, Any]:
    literals = [f"CONVEYOR_SERVE_{name.upper()}={value}" for name, value in planned.items()]
    name, tag = _image(settings, str(planned["engine"]))
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(below, settings.out)],
        "images": [{"name": "conveyor-server", "newName": name, "newTag": tag}],
        "patches": [{"path": file} for file in ("pods.yaml", *(["autoscaler.yaml"] if scaled else []))],
        "configMapGenerator": [
            {"name": f"{NAME}-settings", "namespace": NAME, "behavior": "merge", "literals": literals}
        ],
    }


def _image(settings: DeploySettings, engine: str) -> tuple[str, str]:
    """The name and the tag; without --image the tags that deploy/README.md builds."""
    if settings.image:
        name, colon, tag = settings.image.rpartition(":")
        return (name, tag) if colon and "/" not in tag else (settings.image, "latest")
    runtime = "cuda" if settings.overlay == "cuda" else "cpu"
    return "conveyor-server", f"{runtime}-envoy" if engine == "envoy" else runtime


def _pods(sizing: Sizing, overlay: str, scaled: bool) -> dict[str, Any]:
    resources: dict[str, dict[str, str]] = {
        "requests": {"cpu": f"{sizing.cpu_request}m"},
        "limits": {"cpu": f"{sizing.cpu_limit}m"},
    }
    # On a GPU most of the memory is CUDA's, which a measurement elsewhere does not know.
    if overlay != "cuda" and sizing.memory_request is not None and sizing.memory_limit is not None:
        resources["requests"]["memory"] = f"{sizing.memory_request // MIB}Mi"
        resources["limits"]["memory"] = f"{sizing.memory_limit // MIB}Mi"
    pod = {"containers": [{"name": "server", "resources": resources}]}
    # The autoscaler, where there is one, says how many.
    spec = {"template": {"spec": pod}} if scaled else {"replicas": sizing.replicas, "template": {"spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME, "namespace": NAME}, "spec": spec}


def _autoscaler(sizing: Sizing) -> dict[str, Any]:
    targets = {"conveyor_queue_rows": sizing.queue_rows, "conveyor_rows_per_second": sizing.rows_per_second}
    metrics = [
        {
            "type": "Pods",
            "pods": {"metric": {"name": name}, "target": {"type": "AverageValue", "averageValue": str(value)}},
        }
        for name, value in targets.items()
    ]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME, "namespace": NAME},
        "spec": {"minReplicas": sizing.replicas, "maxReplicas": sizing.max_replicas, "metrics": metrics},
    }


def _in_words(evidence: Evidence, sizing: Sizing, settings: DeploySettings) -> list[str]:
    wanted = "" if settings.rate is None else f", and {settings.rate:g} requests/s wanted"
    return [
        f"Written by conveyor deploy from {settings.plan.name}: one server carried {evidence.highest_rate:.0f} "
        f"requests/s of {evidence.images_per_request}",
        f"image(s) with a 99th percentile of {evidence.p99_ms:.1f} ms (limit {evidence.slo_p99_ms:g} ms){wanted}.",
        f"A pod is planned for {100 * LOAD_SHARE:.0f} % of that: {sizing.rows_per_second} rows/s. At the limit "
        f"{sizing.queue_rows} row(s) waited.",
    ]
