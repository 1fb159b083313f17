"""Our description of the protocol's messages beside the one that tritonclient carries: the wire is the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from tritonclient.grpc import model_config_pb2, service_pb2

from conveyor_server.inference import inference_pb2

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / ".venv-proto" / "bin" / "python"
STUBS = Path(inference_pb2.__file__).parent

Fields = dict[str, tuple[str, int, int, str, str]]


def _description(*files: FileDescriptor) -> list[descriptor_pb2.FileDescriptorProto]:
    return [descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb) for file in files]


OURS = _description(inference_pb2.DESCRIPTOR)
THEIRS = _description(service_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR)


def _fields_of(message: descriptor_pb2.DescriptorProto, prefix: str) -> Fields:
    name = f"{prefix}.{message.name}"
    found: Fields = {}
    for field in message.field:
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
        found[f"{name}.{field.number}"] = (field.name, field.type, field.label, field.type_name, oneof)
    for nested in message.nested_type:
        found |= _fields_of(nested, name)
    return found


def _fields(files: list[descriptor_pb2.FileDescriptorProto]) -> Fields:
    found: Fields = {}
    for file in files:
        for message in file.message_type:
            found |= _fields_of(message, file.package)
    return found


def _values(files: list[descriptor_pb2.FileDescriptorProto]) -> dict[str, int]:
    enums = {
        f"{scope}.{enum.name}.{value.name}": value.number
        for file in files
        for scope, found in [("", file.enum_type), *((owner.name, owner.enum_type) for owner in file.message_type)]
        for enum in found
        for value in enum.value
    }
    assert enums
    return enums


def _methods(files: list[descriptor_pb2.FileDescriptorProto]) -> dict[str, tuple[str, str, bool, bool]]:
    return {
        f"{file.package}.{service.name}/{method.name}": (
            method.input_type,
            method.output_type,
            method.client_streaming,
            method.server_streaming,
        )
        for file in files
        for service in file.service
        for method in service.method
    }


def test_every_field_has_the_number_and_the_type_that_clients_know() -> None:
    theirs, ours = _fields(THEIRS), _fields(OURS)
    assert {name: ours[name] for name in ours if ours[name] != theirs.get(name)} == {}


def test_nothing_but_parts_of_the_configuration_is_left_out() -> None:
    missing = _fields(THEIRS[:1]).keys() - _fields(OURS).keys()
    # Counters of answers in pieces, which no model here gives.
    assert {name for name in missing if not name.startswith("inference.InferResponseStatistics")} == {
        "inference.ModelStatistics.9",
        "inference.ModelStatistics.ResponseStatsEntry.1",
        "inference.ModelStatistics.ResponseStatsEntry.2",
    }


def test_every_enumerated_value_is_the_one_that_clients_know() -> None:
    assert _values(OURS).items() <= _values(THEIRS).items()


def test_the_methods_are_the_same() -> None:
    assert _methods(OURS) == _methods(THEIRS)


@pytest.mark.parametrize("first", ["tritonclient.grpc", "conveyor_server.inference.inference_pb2"])
def test_both_live_in_one_process(first: str) -> None:
    code = f"""
import {first}, tritonclient.grpc, conveyor_server.inference.inference_pb2 as ours
from tritonclient.grpc import service_pb2 as theirs
request = theirs.ModelInferRequest(model_name="m", raw_input_contents=[b"1"])
request.parameters["priority"].uint64_param = 2
again = ours.ModelInferRequest.FromString(request.SerializeToString())
print(again.SerializeToString() == request.SerializeToString(), again.parameters["priority"].uint64_param)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True 2\n", done.stderr


@pytest.mark.skipif(not GENERATOR.exists(), reason="the stub generator is not installed; make test installs it")
def test_committed_stubs_are_current(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": str(GENERATOR), "PATH": f"{GENERATOR.parent}:{os.environ['PATH']}"}
    script = ROOT / "proto" / "inference" / "generate.sh"
    subprocess.run([script, tmp_path], check=True, env=environment, capture_output=True)
    generated = sorted(tmp_path.iterdir())
    assert [path.name for path in generated] == ["inference_pb2.py", "inference_pb2.pyi"]
    stale = [path.name for path in generated if path.read_text() != (STUBS / path.name).read_text()]
    assert not stale, f"run proto/inference/generate.sh: {stale} are not what inference.proto says"
