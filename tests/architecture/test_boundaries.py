"""What may import what, how long a file may be, which names say too little, and which say nothing at all."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.counts import ROWS

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "conveyor_contract": ROOT / "exporter" / "conveyor_contract",
    "conveyor_exporter": ROOT / "exporter" / "conveyor_exporter",
    "conveyor_trainer": ROOT / "trainer" / "conveyor_trainer",
    "conveyor_server": ROOT / "server" / "conveyor_server",
    "conveyor_client": ROOT / "clients" / "conveyor_client",
    "conveyor_bench": ROOT / "clients" / "conveyor_bench",
    "conveyor_cli": ROOT / "clients" / "conveyor_cli",
}
# Of our own packages; conveyor.v1 (the wire) is open to all. Only the command line may join what the rest keeps apart.
MAY_IMPORT = {
    "conveyor_contract": set(),
    "conveyor_exporter": {"conveyor_contract", "conveyor_trainer"},
    "conveyor_trainer": {"conveyor_contract"},
    "conveyor_server": {"conveyor_contract"},
    "conveyor_client": set(),
    "conveyor_bench": {"conveyor_client"},
    "conveyor_cli": set(PACKAGES),
}
MAX_LINES = 320


def _sources(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def _imports(source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_dependencies_point_one_way(package: str) -> None:
    sources = _sources(package)
    assert sources
    allowed = MAY_IMPORT[package] | {package}
    wrong = {
        str(source.relative_to(ROOT)): names
        for source in sources
        if (names := (_imports(source) & PACKAGES.keys()) - allowed)
    }
    assert not wrong


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("conveyor_server", ["torch", "onnx", "conveyor_trainer", "conveyor_exporter"]),
        ("conveyor_server.lifecycle", ["torch", "onnx", "conveyor_trainer", "conveyor_exporter"]),
        ("conveyor_cli.commands.serve", ["torch", "onnx", "conveyor_trainer", "conveyor_exporter"]),
        # Of a start that somebody waits for: the parent of workers runs no model, and a worker checks no settings.
        ("conveyor_server.workers.supervisor", ["numpy", "PIL", "onnxruntime"]),
        ("conveyor_server.workers.worker", ["pydantic", "starlette", "uvicorn", "prometheus_client"]),
        ("conveyor_client", ["numpy", "onnxruntime", "PIL", "pydantic", "torch"]),
        ("conveyor_trainer.settings", ["numpy", "torch"]),
        ("conveyor_cli.main", ["numpy", "onnxruntime", "torch"]),
    ],
)
def test_a_light_package_loads_nothing_heavy(module: str, forbidden: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {forbidden!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def _all_sources() -> list[Path]:
    generated = ("_pb2.py", "_pb2_grpc.py")
    ours = [source for package in PACKAGES for source in _sources(package)]
    tests = sorted((ROOT / "tests").rglob("*.py"))
    return [source for source in ours + tests if not source.name.endswith(generated)]


def test_a_file_can_be_read_in_one_sitting() -> None:
    lengths = {str(source.relative_to(ROOT)): source.read_text().count("\n") for source in _all_sources()}
    assert not {name: length for name, length in lengths.items() if length > MAX_LINES}


def test_files_are_named_after_what_they_hold() -> None:
    vague = {"util", "utils", "helper", "helpers", "common", "misc"}
    assert not [source for source in _all_sources() if vague & {source.stem, source.parent.name}]


def test_every_row_of_the_counts_counts_something() -> None:
    sources = "".join(source.read_text() for source in sorted((ROOT / "tests").rglob("test_*.py")))
    others = "".join(source.read_text() for source in sorted((ROOT / "tests").rglob("conftest.py")))
    assert [name for name in ROWS if f'count("{name}")' not in sources + others] == []
