"""The packages that make a file, by version."""

import importlib.metadata

from conveyor_exporter.session import runtime_version

PACKAGES = ("conveyor", "numpy", "onnx", "onnxscript", "pillow", "torch")


def tool_versions() -> dict[str, str]:
    """Versions without a build's own suffix (2.13.0+cpu is 2.13.0)."""
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    versions["onnxruntime"] = runtime_version()
    return {package: version.partition("+")[0] for package, version in versions.items()}
