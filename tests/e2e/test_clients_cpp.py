"""The C++ sample, built with the system's gRPC and run against the real server."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from conveyor_bench.server_process import serving
from conveyor_contract.preprocessing import encode_png
from tests.models import write_tiny_model

SOURCE = Path(__file__).parents[2] / "clients" / "cpp"


def _missing() -> list[str]:
    missing = [
        tool for tool in ("cmake", "c++", "protoc", "grpc_cpp_plugin", "pkg-config") if shutil.which(tool) is None
    ]
    if "pkg-config" not in missing:
        packages = ("grpc++", "protobuf")
        missing += [
            name for name in packages if subprocess.run(["pkg-config", "--exists", name], check=False).returncode
        ]
    return missing


pytestmark = [
    pytest.mark.timeout(900),  # gRPC's headers take their time to compile
    pytest.mark.skipif(
        bool(_missing()),
        reason=f"the C++ sample needs {', '.join(_missing())}; "
        "on Debian: apt install cmake g++ pkg-config libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc",
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("build")
    for command in (["cmake", "-S", str(SOURCE), "-B", str(build)], ["cmake", "--build", str(build), "-j2"]):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "classify"


def _run(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True, timeout=60)


def test_the_sample_gives_the_models_answer(program: Path, tmp_path: Path) -> None:
    model, image = write_tiny_model(tmp_path / "models"), tmp_path / "image.png"
    row = np.random.default_rng(1).integers(0, 256, (8, 8, 1), np.uint8)
    image.write_bytes(encode_png(row))
    [[*expected]] = onnxruntime.InferenceSession(model).run(None, {"image": row[None]})[0]
    with serving(tmp_path / "models") as server:
        answered = _run(program, server.address, "tiny", image, "3")
        assert answered.returncode == 0, answered.stderr
        lines = [line.rpartition(" ") for line in answered.stdout.splitlines()]
        best = sorted(range(3), key=lambda index: -expected[index])
        assert [label for label, _, _ in lines] == [f"class {index}" for index in best]
        given = [float(probability) for _, _, probability in lines]
        assert given == pytest.approx([expected[index] for index in best], abs=1e-4)

        unknown = _run(program, server.address, "other", image)
        assert unknown.returncode == 1
        assert unknown.stderr.startswith(f"error: {server.address}: ")
        assert "other" in unknown.stderr
    assert _run(program, "127.0.0.1:1", "tiny", tmp_path / "absent").stderr.startswith("error: cannot read ")
    assert _run(program, "127.0.0.1:1", "tiny", image).stderr.startswith("error: 127.0.0.1:1: ")
