"""`conveyor deploy k8s`: from what tune measured to pods, and what it says to wrong input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from conveyor_bench.tune.evidence import Evidence, Usage, write_evidence
from conveyor_cli.kubernetes.sizing import size
from conveyor_cli.main import main
from tests.deploy.manifests import KUBERNETES, container, needs_kustomize, one, problem, rendered, settings_of

MIB = 1024 * 1024
PLAN = {"engine": "grpcio", "workers": 1, "instance_count": 1, "intra_op_threads": 2, "max_queue_delay": 0.0}


def measured(**changes: Any) -> Evidence:
    figures: dict[str, Any] = {
        "model_file": "digits/1/model.onnx",
        "cores": 4,
        "images_per_request": 1,
        "slo_p99_ms": 20.0,
        "highest_rate": 1000.0,
        "p99_ms": 15.0,
        "mean_queue_ms": 4.0,
        "usage": Usage(cpus=1.34, memory_bytes=300 * MIB),
    }
    return Evidence(**{**figures, **changes})


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan with its evidence, as conveyor tune leaves them."""
    file = tmp_path / "tuned.yaml"
    file.write_text("# Chosen by `conveyor tune`\n" + yaml.safe_dump(PLAN))
    write_evidence(measured(), file)
    return file


def deploy(plan: Path, *options: str) -> int:
    out = plan.parent / "out"
    return main(["deploy", "k8s", "--plan", str(plan), "--manifests", str(KUBERNETES), "--out", str(out), *options])


def test_a_pod_is_sized_by_what_was_measured() -> None:
    sizing = size(measured(), PLAN, None, None)
    assert (sizing.cpu_request, sizing.cpu_limit) == (1400, 2000)
    assert sizing.memory_request == 384 * MIB  # 300 MiB and a quarter, in steps of 32
    assert sizing.memory_limit == 608 * MIB
    assert (sizing.replicas, sizing.max_replicas) == (2, 10)
    assert sizing.rows_per_second == 700
    assert sizing.queue_rows == 4  # 1000 requests/s that wait 4 ms each


def test_the_wanted_rate_says_how_many() -> None:
    assert size(measured(), PLAN, 100.0, None).replicas == 2
    sizing = size(measured(), PLAN, 7001.0, None)
    assert (sizing.replicas, sizing.max_replicas) == (11, 22)
    assert size(measured(), PLAN, 7001.0, 5).max_replicas == 11
    assert size(measured(images_per_request=8), PLAN, None, None).rows_per_second == 5600


def test_what_was_not_measured_is_left_as_it_was() -> None:
    sizing = size(measured(usage=None), PLAN, None, None)
    assert (sizing.cpu_request, sizing.cpu_limit) == (2000, 2000)
    assert sizing.memory_request is None


@needs_kustomize
def test_the_manifests_carry_the_plan(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy(plan, "--rate", "7001", "--image", "registry.example:5000/team/conveyor:7") == 0
    printed = capsys.readouterr()
    assert "11 to 22 pods of 1.4 CPUs and 384 MiB, each for 700 rows/s" in printed.out
    assert "kubectl apply --kustomize" in printed.err
    manifests = rendered(plan.parent / "out")
    assert [problem(each, "1.34") for each in manifests if problem(each, "1.34")] == []
    server = container(manifests)
    assert server["image"] == "registry.example:5000/team/conveyor:7"
    assert server["resources"] == {
        "requests": {"cpu": "1400m", "memory": "384Mi"},
        "limits": {"cpu": "2000m", "memory": "608Mi"},
    }
    settings = settings_of(manifests)
    assert settings["CONVEYOR_SERVE_INTRA_OP_THREADS"] == "2"
    assert settings["CONVEYOR_SERVE_DRAIN_DELAY"] == "5", "the base's settings stay"
    scaler = one(manifests, "HorizontalPodAutoscaler")["spec"]
    targets = {m["pods"]["metric"]["name"]: m["pods"]["target"]["averageValue"] for m in scaler["metrics"]}
    assert targets == {"conveyor_queue_rows": "4", "conveyor_rows_per_second": "700"}
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (11, 22)
    assert "replicas" not in one(manifests, "Deployment")["spec"]


@needs_kustomize
@pytest.mark.parametrize(("overlay", "engine", "tag"), [("cpu", "envoy", "cpu-envoy"), ("cuda", "grpcio", "cuda")])
def test_other_overlays_and_engines(plan: Path, overlay: str, engine: str, tag: str) -> None:
    plan.write_text(yaml.safe_dump({**PLAN, "engine": engine}))
    assert deploy(plan, "--overlay", overlay) == 0
    manifests = rendered(plan.parent / "out")
    assert container(manifests)["image"] == f"conveyor-server:{tag}"
    assert one(manifests, "Deployment")["spec"]["replicas"] == 2
    assert settings_of(manifests)["CONVEYOR_SERVE_ENGINE"] == engine
    if overlay == "cuda":
        assert container(manifests)["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert container(manifests)["resources"]["limits"]["memory"] == "6Gi"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot read"),
        ("- 1\n", "is not a plan of conveyor tune"),
        ("engine: grpcio\n", "is not a plan of conveyor tune"),
        ("a: [\n", "is not YAML"),
    ],
)
def test_a_plan_that_is_none_is_named(
    plan: Path, text: str | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is None:
        plan.unlink()
    else:
        plan.write_text(text)
    assert deploy(plan) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "{}", "[]", "no JSON", json.dumps({"usage": {"odd": 1}})])
def test_evidence_that_is_missing_or_damaged_is_named(
    plan: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = plan.with_suffix(".json")
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    assert deploy(plan) == 1
    said = capsys.readouterr().err
    assert str(file) in said
    assert "conveyor tune" in said


def test_manifests_that_are_not_there(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy(plan, "--manifests", str(plan.parent / "nowhere")) == 2
    assert "run this in a checkout of Conveyor, or give --manifests" in capsys.readouterr().err
    assert deploy(plan, "--out", str(plan)) == 1
    assert "cannot write" in capsys.readouterr().err
