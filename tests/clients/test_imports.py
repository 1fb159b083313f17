"""The client costs grpcio and protobuf, nothing else."""

import subprocess
import sys

import pytest


def loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(sys.modules))"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.parametrize("code", ["import conveyor_client", "from conveyor_client import Client, AsyncClient"])
def test_importing_the_client_loads_no_heavy_package(code: str) -> None:
    heavy = {"numpy", "PIL", "onnxruntime", "onnx", "torch", "pydantic", "rich", "yaml"}
    ours = {"conveyor_contract", "conveyor_cli", "conveyor_server", "conveyor_exporter", "conveyor_trainer"}
    assert not loaded(code) & (heavy | ours)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import conveyor_client

    with pytest.raises(AttributeError, match="Classifier"):
        _ = conveyor_client.Classifier
    assert all(getattr(conveyor_client, name) is not None for name in conveyor_client.__all__)
