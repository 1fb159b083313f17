"""Every rendered manifest against its schema, and what a schema cannot say: times, ports, labels and names agree."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from conveyor_cli.parsing import parse_settings
from conveyor_server.settings import ServerSettings
from tests.deploy.manifests import (
    DEPLOY,
    KUBERNETES,
    SUPPORTED,
    Manifest,
    combined,
    container,
    needs_kustomize,
    one,
    problem,
    rendered,
    settings_of,
)

pytestmark = needs_kustomize

OVERLAYS = ("cpu", "cuda", "monitoring")
MODELS_OF_THEIR_OWN = ("kubernetes/components/models-init-container", "kubernetes/components/models-image")
SECURED = ("monitoring", "kubernetes/components/tls", "kubernetes/components/tokens")


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> list[Manifest]:
    return rendered(KUBERNETES / "overlays" / request.param)


@pytest.fixture
def secured(tmp_path: Path) -> list[Manifest]:
    """The CPU overlay with monitoring, TLS and tokens."""
    return combined(tmp_path, "cpu", *SECURED)


def problems(manifests: list[Manifest], version: str) -> dict[str, str]:
    return {each["kind"]: said for each in manifests if (said := problem(each, version)) is not None}


@pytest.mark.parametrize("version", SUPPORTED)
def test_every_manifest_has_the_fields_of_its_kind(version: str) -> None:
    for name in OVERLAYS:
        assert problems(rendered(KUBERNETES / "overlays" / name), version) == {}


def test_a_secured_server_has_the_fields_of_its_kinds(secured: list[Manifest]) -> None:
    assert problems(secured, "1.34") == {}


@pytest.mark.parametrize("component", MODELS_OF_THEIR_OWN)
def test_models_may_come_from_an_image(component: str, tmp_path: Path) -> None:
    manifests = combined(tmp_path, "cpu", component)
    assert problems(manifests, "1.34") == {}
    assert not [each for each in manifests if each["kind"] == "PersistentVolumeClaim"]
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    [models] = [each for each in pod["volumes"] if each["name"] == "models"]
    assert "persistentVolumeClaim" not in models
    assert len(models) == 2


def test_kserve_gets_the_fields_of_its_kinds() -> None:
    manifests = rendered(DEPLOY / "kserve")
    assert problems(manifests, "1.34") == {}
    runtime, service = one(manifests, "ServingRuntime"), one(manifests, "InferenceService")
    predictor = service["spec"]["predictor"]
    assert predictor["model"]["runtime"] == runtime["metadata"]["name"]
    assert predictor["model"]["protocolVersion"] in runtime["spec"]["protocolVersions"]
    formats = {each["name"] for each in runtime["spec"]["supportedModelFormats"]}
    assert predictor["model"]["modelFormat"]["name"] in formats
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "predictor"},
        "spec": {"containers": runtime["spec"]["containers"]},
    }
    assert problem(pod, "1.34") is None
    [port] = runtime["spec"]["containers"][0]["ports"]
    assert port["containerPort"] == runtime["spec"]["containers"][0]["readinessProbe"]["grpc"]["port"]
    drain = 5 + 30  # the image's drain delay, and the default drain timeout
    assert predictor["terminationGracePeriodSeconds"] > drain


def test_a_wrong_field_would_be_found(overlay: list[Manifest]) -> None:
    broken = copy.deepcopy(one(overlay, "Deployment"))
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 50
    assert problem(broken, "1.34") is not None
    for manifest in rendered(KUBERNETES / "overlays" / "monitoring") + rendered(DEPLOY / "kserve"):
        broken = copy.deepcopy(manifest)
        broken["spec" if "spec" in broken else "metadata"]["surprise"] = 1
        if manifest["kind"] not in ("Namespace", "ServiceAccount", "ConfigMap"):
            assert problem(broken, "1.34") is not None, manifest["kind"]


def test_everything_is_in_the_namespace(overlay: list[Manifest], secured: list[Manifest]) -> None:
    for manifest in overlay + secured:
        if manifest["kind"] == "Namespace":
            assert manifest["metadata"]["name"] == "conveyor"
        else:
            assert manifest["metadata"].get("namespace") == "conveyor", manifest["kind"]


def test_the_grace_period_outlasts_the_drain(overlay: list[Manifest], secured: list[Manifest]) -> None:
    for manifests in (overlay, secured):
        settings, server = settings_of(manifests), container(manifests)
        before = server["lifecycle"]["preStop"]["sleep"]["seconds"]
        delay, timeout = (int(settings[f"CONVEYOR_SERVE_DRAIN_{name}"]) for name in ("DELAY", "TIMEOUT"))
        grace = one(manifests, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace > before + delay + timeout
        # The readiness probe must have said no, and said so everywhere, before work is refused.
        readiness = server["readinessProbe"]
        assert delay > readiness["periodSeconds"] * readiness["failureThreshold"] + readiness["timeoutSeconds"] - 1


def test_settings_are_what_serve_understands(
    overlay: list[Manifest], secured: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {f"CONVEYOR_SERVE_{name.upper()}" for name in ServerSettings.model_fields}
    for manifests in (overlay, secured):
        given = settings_of(manifests)
        assert given.keys() <= known
        with monkeypatch.context() as patched:
            for name, value in given.items():
                patched.setenv(name, value)
            settings = parse_settings("serve", ServerSettings, ["/models"], summary="", example="")
        assert settings is not None
        assert settings.host == "0.0.0.0"


def test_probes_and_services_name_the_servers_ports(overlay: list[Manifest], secured: list[Manifest]) -> None:
    settings, server = settings_of(overlay), container(overlay)
    grpc_port, http_port = (int(settings[f"CONVEYOR_SERVE_{name}"]) for name in ("PORT", "HTTP_PORT"))
    assert {each["name"]: each["containerPort"] for each in server["ports"]} == {"grpc": grpc_port, "http": http_port}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert server[probe]["grpc"]["port"] == grpc_port
        with_tls = container(secured)[probe]
        assert "grpc" not in with_tls
        assert (with_tls["httpGet"]["port"], with_tls["httpGet"]["scheme"]) == (http_port, "HTTPS")
    assert "service" not in server["readinessProbe"]["grpc"]
    # Readiness must not decide over life: a server without models is left alone to say why.
    assert server["livenessProbe"]["grpc"]["service"] == "grpc.health.v1.Health"
    named = {each["name"] for each in server["ports"]}
    for service in (each for each in overlay if each["kind"] == "Service"):
        assert {each["targetPort"] for each in service["spec"]["ports"]} <= named
    for rule in one(overlay, "NetworkPolicy")["spec"]["ingress"]:
        assert {each["port"] for each in rule["ports"]} <= named


def test_selectors_find_the_pods_and_the_pods_alone(overlay: list[Manifest]) -> None:
    deployment = one(overlay, "Deployment")["spec"]
    pod = deployment["template"]["metadata"]["labels"]
    selectors = [deployment["selector"], one(overlay, "PodDisruptionBudget")["spec"]["selector"]]
    selectors += [one(overlay, "NetworkPolicy")["spec"]["podSelector"]]
    selectors += [each["labelSelector"] for each in deployment["template"]["spec"]["topologySpreadConstraints"]]
    chosen = [each["matchLabels"] for each in selectors]
    chosen += [each["spec"]["selector"] for each in overlay if each["kind"] == "Service"]
    for labels in chosen:
        assert labels
        assert labels.items() <= pod.items()
        assert {"app.kubernetes.io/name", "app.kubernetes.io/component"} <= labels.keys()


def test_the_monitor_finds_one_service_and_its_port() -> None:
    manifests = rendered(KUBERNETES / "overlays" / "monitoring")
    monitor = one(manifests, "ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    found = [each for each in manifests if each["kind"] == "Service" and wanted <= each["metadata"]["labels"].items()]
    [service] = found
    assert monitor["endpoints"][0]["port"] in {each["name"] for each in service["spec"]["ports"]}
    # The operator names the job after the Service, and rules and board ask for this job.
    assert service["metadata"]["name"] == "conveyor"


def test_the_autoscaler_alone_says_how_many() -> None:
    manifests = rendered(KUBERNETES / "overlays" / "monitoring")
    scaler = one(manifests, "HorizontalPodAutoscaler")["spec"]
    target = one(manifests, "Deployment")
    assert scaler["scaleTargetRef"] == {
        "apiVersion": target["apiVersion"],
        "kind": target["kind"],
        "name": target["metadata"]["name"],
    }
    assert "replicas" not in target["spec"]
    assert scaler["minReplicas"] >= 2


def test_a_pod_may_do_little(overlay: list[Manifest], secured: list[Manifest]) -> None:
    for manifests in (overlay, secured):
        pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        server = container(manifests)
        assert server["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounts = {each["mountPath"]: each.get("readOnly", False) for each in server["volumeMounts"]}
        assert {path for path, read_only in mounts.items() if not read_only} == {"/tmp"}
        assert set(server["resources"]) == {"requests", "limits"}


def test_secrets_are_where_the_settings_say(secured: list[Manifest]) -> None:
    settings, server = settings_of(secured), container(secured)
    folders = {each["mountPath"] for each in server["volumeMounts"]}
    files = {value for name, value in settings.items() if "TLS_" in name or "TOKEN" in name}
    assert len(files) == 5
    assert {str(Path(file).parent) for file in files} <= folders
    endpoint = one(secured, "ServiceMonitor")["spec"]["endpoints"][0]
    assert endpoint["scheme"] == "https"
    assert endpoint["authorization"]["credentials"]["key"] == Path(settings["CONVEYOR_SERVE_METRICS_TOKEN_FILE"]).name
    names = {each["secret"]["secretName"] for each in one_pod_volumes(secured) if "secret" in each}
    assert names == {"conveyor-tls", "conveyor-tokens"}


def one_pod_volumes(manifests: list[Manifest]) -> list[Manifest]:
    volumes = one(manifests, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert isinstance(volumes, list)
    return volumes


def test_a_gpu_is_asked_for_where_one_is_needed() -> None:
    manifests = rendered(KUBERNETES / "overlays" / "cuda")
    assert settings_of(manifests)["CONVEYOR_SERVE_DEVICE"] == "cuda"
    resources = container(manifests)["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "1"


def test_a_models_claim_is_there(overlay: list[Manifest]) -> None:
    [models] = [each for each in one_pod_volumes(overlay) if each["name"] == "models"]
    assert (
        models["persistentVolumeClaim"]["claimName"]
        == one(overlay, "PersistentVolumeClaim", "conveyor-models")["metadata"]["name"]
    )


def test_compose_names_files_settings_and_ports_that_are_there() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    known = {f"CONVEYOR_SERVE_{name.upper()}" for name in ServerSettings.model_fields}
    server = compose["services"]["server"]
    assert server["environment"].keys() <= known
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"], source
        if build := service.get("build"):
            assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()
    scraped = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yml").read_text(encoding="utf-8"))
    [[target]] = [each["targets"] for each in scraped["scrape_configs"][0]["static_configs"]]
    assert target == f"server:{server['environment']['CONVEYOR_SERVE_HTTP_PORT']}"
    assert int(server["stop_grace_period"].removesuffix("s")) > 5 + 30
    source = yaml.safe_load(
        (DEPLOY / "monitoring/grafana/provisioning/datasources/prometheus.yaml").read_text(encoding="utf-8")
    )
    assert source["datasources"][0]["url"].startswith("http://prometheus:")
