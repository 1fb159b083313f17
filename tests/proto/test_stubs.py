"""The committed stubs are what the .proto files say, and the wire only ever grows."""

import os
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from conveyor.v1 import admin_pb2, classifier_pb2, model_pb2

ROOT = Path(__file__).parents[2]
PROTO = ROOT / "proto"
GENERATOR = ROOT / ".venv-proto" / "bin" / "python"
BASELINE = Path(__file__).with_name("v1.binpb")


@pytest.mark.skipif(not GENERATOR.exists(), reason="the stub generator is not installed; make test installs it")
def test_committed_stubs_are_current(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": str(GENERATOR), "PATH": f"{GENERATOR.parent}:{os.environ['PATH']}"}
    subprocess.run([PROTO / "generate.sh", tmp_path], check=True, env=environment, capture_output=True)
    generated = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.py*")}
    committed = {path.relative_to(PROTO): path.read_text() for path in (PROTO / "conveyor").rglob("*_pb2*.py*")}
    assert generated.keys() == committed.keys()
    stale = [str(name) for name, text in generated.items() if committed[name] != text]
    assert not stale, f"run make proto: {stale} are not what the .proto files say"


def _current() -> descriptor_pb2.FileDescriptorSet:
    files = descriptor_pb2.FileDescriptorSet()
    for module in (model_pb2, classifier_pb2, admin_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    return files


def _fields(files: descriptor_pb2.FileDescriptorSet) -> dict[str, tuple[int, int, int, str]]:
    return {
        f"{file.package}.{message.name}.{field.name}": (field.number, field.type, field.label, field.type_name)
        for file in files.file
        for message in file.message_type
        for field in message.field
    }


def _values(files: descriptor_pb2.FileDescriptorSet) -> dict[str, int]:
    return {value.name: value.number for file in files.file for enum in file.enum_type for value in enum.value}


def _methods(files: descriptor_pb2.FileDescriptorSet) -> dict[str, tuple[str, str, bool, bool]]:
    return {
        f"{service.name}.{method.name}": (
            method.input_type,
            method.output_type,
            method.client_streaming,
            method.server_streaming,
        )
        for file in files.file
        for service in file.service
        for method in service.method
    }


def test_nothing_on_the_wire_was_changed_or_removed() -> None:
    """v1.binpb holds the messages as released; new names may be added to it, never changed."""
    released, current = descriptor_pb2.FileDescriptorSet.FromString(BASELINE.read_bytes()), _current()
    assert _fields(released).items() <= _fields(current).items()
    assert _values(released).items() <= _values(current).items()
    assert _methods(released).items() <= _methods(current).items()
