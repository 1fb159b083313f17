"""A model file is read, sealed and verified by a walk over its bytes; whatever was altered is found out."""

import random
from pathlib import Path

import numpy as np
import onnx
import pytest

from conveyor.v1 import model_pb2
from conveyor_contract.contract import (
    CONTRACT_KEY,
    SEAL_KEY,
    canonical_json,
    dimensions,
    parse_contract,
    validate_contract,
)
from conveyor_contract.errors import ContractError
from conveyor_contract.model_file import ModelFile, read_model_file, write_contract
from tests.counts import count
from tests.models import write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return read_model_file(write_tiny_model(tmp_path))


def _rewritten(model: ModelFile, old: bytes, new: bytes) -> ModelFile:
    content = model.path.read_bytes()
    assert len(old) == len(new)
    assert content.count(old) >= 1
    model.path.write_bytes(content.replace(old, new, 1))
    return read_model_file(model.path)


def test_the_outline_is_what_the_onnx_package_reads(model: ModelFile) -> None:
    loaded = onnx.load(model.path)
    onnx.checker.check_model(loaded, full_check=True)
    assert model.ir_version == loaded.ir_version
    assert model.opset == next(entry.version for entry in loaded.opset_import if entry.domain == "")
    assert model.metadata == {entry.key: entry.value for entry in loaded.metadata_props}
    assert model.verify().labels == ["class 0", "class 1", "class 2"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (write_tiny_model(tmp_path / folder) for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert read_model_file(one).model_digest != read_model_file(write_tiny_model(tmp_path, seed=1)).model_digest


def test_an_edited_label_is_found_by_the_seal(model: ModelFile) -> None:
    with pytest.raises(ContractError, match="seal does not match"):
        _rewritten(model, b'"class 1"', b'"class 9"').verify()


def test_an_altered_golden_sample_is_found_by_the_seal(model: ModelFile) -> None:
    with pytest.raises(ContractError, match="seal does not match"):
        _rewritten(model, b'"label_index":', b'"label_indox":').verify()


def test_an_altered_weight_is_found_by_the_model_digest(model: ModelFile) -> None:
    loaded = onnx.load(model.path)
    weights = onnx.numpy_helper.to_array(loaded.graph.initializer[0])
    raw = np.float32(weights.flat[-1]).tobytes()
    with pytest.raises(ContractError, match="graph or its weights were altered"):
        _rewritten(model, raw, np.float32(weights.flat[-1] + 1).tobytes()).verify()


def test_a_file_without_contract_says_what_to_do(model: ModelFile) -> None:
    loaded = onnx.load(model.path)
    del loaded.metadata_props[:]
    onnx.save(loaded, model.path)
    with pytest.raises(ContractError, match="carries no contract; export it"):
        read_model_file(model.path).verify()


def test_other_metadata_is_kept_and_the_digest_does_not_depend_on_it(model: ModelFile) -> None:
    loaded = onnx.load(model.path)
    onnx.helper.set_model_props(loaded, {"author": "a neighbour"})
    contract = model.verify()
    again = write_contract(loaded.SerializeToString(), model.path, contract, model_pb2.GoldenSamples())
    assert again.metadata["author"] == "a neighbour"
    assert again.model_digest == model.model_digest
    assert again.metadata[SEAL_KEY] != model.metadata[SEAL_KEY]
    again.verify()


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x00" * 10, b"PK\x03\x04" * 40, b"\x08\x08"])
def test_a_file_that_is_not_onnx_is_named_as_such(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ContractError, match="is not an ONNX file"):
        read_model_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"nothing\.onnx does not exist"):
        read_model_file(tmp_path / "nothing.onnx")
    with pytest.raises(ContractError, match="cannot be read"):
        read_model_file(tmp_path)


def test_any_changed_byte_is_found(model: ModelFile) -> None:
    """Every single changed byte gives a clear error: there is no place in the file that nothing covers."""
    content, generator = model.path.read_bytes(), random.Random(0)
    for _ in range(count("mutated model files")):
        position = generator.randrange(len(content))
        changed = content[position] ^ generator.randrange(1, 256)
        model.path.write_bytes(content[:position] + bytes([changed]) + content[position + 1 :])
        with pytest.raises(ContractError):
            read_model_file(model.path).verify()


def test_a_truncated_file_is_refused(model: ModelFile) -> None:
    content = model.path.read_bytes()
    for length in range(0, len(content), max(1, len(content) // 50)):
        model.path.write_bytes(content[:length])
        with pytest.raises(ContractError):
            read_model_file(model.path).verify()


def test_a_contract_that_contradicts_itself_is_not_written(model: ModelFile, tmp_path: Path) -> None:
    contract = model.verify()
    del contract.labels[0]
    target = tmp_path / "other.onnx"
    with pytest.raises(ContractError, match="2 labels for 3 outputs"):
        write_contract(model.path.read_bytes(), target, contract, model_pb2.GoldenSamples())
    assert not target.exists()


def test_a_newer_major_schema_is_refused_and_a_newer_minor_is_read(model: ModelFile) -> None:
    contract = model.verify()
    contract.schema_version = "2.0"
    with pytest.raises(ContractError, match=r"schema version 2\.0, and this Conveyor reads up to 1\.x"):
        parse_contract(canonical_json(contract))
    newer = canonical_json(contract).replace('"2.0"', '"1.7"').replace("{", '{"a_later_field":1,', 1)
    assert parse_contract(newer).schema_version == "1.7"


def test_a_contract_that_is_not_json_is_refused(model: ModelFile) -> None:
    with pytest.raises(ContractError, match=f"{CONTRACT_KEY} cannot be read"):
        parse_contract(model.metadata[CONTRACT_KEY][:-5])


def test_each_contradiction_is_named(model: ModelFile) -> None:
    def broken(**changes: object) -> model_pb2.ModelContract:
        contract = model_pb2.ModelContract()
        contract.CopyFrom(model.verify())
        for name, value in changes.items():
            contract.ClearField(name)  # type: ignore[arg-type]  # the stub lists the names it knows
            contract.MergeFrom(model_pb2.ModelContract(**{name: value}))  # type: ignore[arg-type]  # likewise
        return contract

    batching = {"max_batch_size": 8, "buckets": [4, 2, 8]}
    free_width = model_pb2.TensorSpec(name="image", shape=dimensions("batch", 8, "width", 1))
    narrow = model_pb2.TensorSpec(name="image", shape=dimensions("batch", 8, 7, 1))
    for contract, sentence in [
        (broken(model_name=""), "names no model"),
        (broken(task=model_pb2.TASK_UNSPECIFIED), "task is 0"),
        (broken(inputs=[]), "0 inputs and 1 outputs"),
        (broken(inputs=[free_width]), "fixed sizes after it"),
        (broken(inputs=[narrow]), "makes rows of"),
        (broken(batching=batching), "ascending"),
        (broken(schema_version="one"), "expected MAJOR.MINOR"),
    ]:
        with pytest.raises(ContractError, match=sentence):
            validate_contract(contract)
