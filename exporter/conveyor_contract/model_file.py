"""An ONNX file's outline and the contract inside it, read and written without the onnx package.

The model digest covers the file's top-level fields except its metadata, so that it can stand in the metadata itself.
The seal covers the contract and the golden samples as they stand there, so that an edited label is caught too.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conveyor.v1 import model_pb2
from conveyor_contract import wire
from conveyor_contract.atomic import write_atomically
from conveyor_contract.contract import (
    CONTRACT_KEY,
    GOLDEN_KEY,
    SEAL_KEY,
    canonical_json,
    parse_contract,
    parse_golden,
    validate_contract,
)
from conveyor_contract.digests import sha256, sha256_of_parts
from conveyor_contract.errors import ContractError

# Field numbers of ONNX's ModelProto, OperatorSetIdProto and StringStringEntryProto.
_IR_VERSION, _GRAPH, _OPSET_IMPORT, _METADATA = 1, 7, 8, 14
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """What a model file says of itself. Digests are "sha256:<hex>"; size in bytes."""

    path: Path
    size: int
    file_digest: str
    model_digest: str
    ir_version: int
    opset: int
    metadata: dict[str, str]
    contract: model_pb2.ModelContract | None
    golden: model_pb2.GoldenSamples | None

    def verify(self) -> model_pb2.ModelContract:
        """The contract, once it is whole, sealed and of this very graph. Raises ContractError otherwise."""
        if self.contract is None:
            raise ContractError(
                f"{self.path} carries no contract; export it with conveyor, or serve it through the tensor protocol."
            )
        validate_contract(self.contract)
        if self.metadata.get(SEAL_KEY) != _seal(self.metadata[CONTRACT_KEY], self.metadata.get(GOLDEN_KEY, "")):
            raise ContractError(
                f"{self.path}: the contract or its golden samples were altered after export (the seal does not match); "
                "export the model again."
            )
        stated = self.contract.provenance.model_digest
        if stated != self.model_digest:
            raise ContractError(
                f"{self.path}: the graph or its weights were altered after export (digest {self.model_digest[:19]}, "
                f"the contract says {stated[:19]}); export the model again."
            )
        return self.contract


def read_model_file(path: Path) -> ModelFile:
    """Reads the outline of an ONNX file. Raises ContractError if it cannot be read or is not ONNX."""
    try:
        with path.open("rb") as file:
            # Not closed by hand: while an error is on its way up, its frames still hold slices of the map.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read(path, memoryview(mapped))
    except FileNotFoundError as error:
        raise ContractError(f"{path} does not exist.") from error
    except OSError as error:
        raise ContractError(f"{path} cannot be read ({error.strerror or error}).") from error
    except ValueError as error:  # also what mmap raises for an empty file
        raise ContractError(f"{path} is not an ONNX file ({error}).") from error


def write_contract(
    source: bytes, target: Path, contract: model_pb2.ModelContract, golden: model_pb2.GoldenSamples
) -> ModelFile:
    """Writes a serialized ONNX model to target with its contract inside, atomically.

    Sets the contract's model digest and the seal, and replaces any that source carried. Raises ContractError if
    the contract is not whole or source is not ONNX.
    """
    data = memoryview(source)
    try:
        kept = b"".join(_without_our_metadata(data))
        digest = _model_digest(data)
    except ValueError as error:
        raise ContractError(f"the model to be written to {target} is not ONNX ({error}).") from error
    sealed = model_pb2.ModelContract()
    sealed.CopyFrom(contract)
    sealed.provenance.model_digest = digest
    validate_contract(sealed)
    texts = {CONTRACT_KEY: canonical_json(sealed), GOLDEN_KEY: canonical_json(golden)}
    texts[SEAL_KEY] = _seal(texts[CONTRACT_KEY], texts[GOLDEN_KEY])
    entries = b"".join(_metadata_entry(key, texts[key]) for key in sorted(texts))
    write_atomically(target, kept + entries)
    return read_model_file(target)


def _read(path: Path, data: memoryview) -> ModelFile:
    ir_version, opset, has_graph = 0, 0, False
    metadata: dict[str, str] = {}
    for field in wire.fields(data):
        if field.number == _IR_VERSION:
            ir_version = field.varint
        elif field.number == _GRAPH:
            has_graph = True
        elif field.number == _OPSET_IMPORT:
            domain, version = _opset(data[field.value_start : field.end])
            opset = version if domain in ("", "ai.onnx") else opset
        elif field.number == _METADATA:
            key, value = _entry(data[field.value_start : field.end])
            metadata[key] = value
    if not (ir_version and opset and has_graph):
        raise ValueError("it holds no graph with a version")
    return ModelFile(
        path=path,
        size=len(data),
        file_digest=sha256(data),
        model_digest=_model_digest(data),
        ir_version=ir_version,
        opset=opset,
        metadata=metadata,
        contract=parse_contract(metadata[CONTRACT_KEY]) if CONTRACT_KEY in metadata else None,
        golden=parse_golden(metadata[GOLDEN_KEY]) if GOLDEN_KEY in metadata else None,
    )


def _opset(data: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for field in wire.fields(data):
        if field.number == _OPSET_DOMAIN:
            domain = bytes(data[field.value_start : field.end]).decode()
        elif field.number == _OPSET_VERSION:
            version = field.varint
    return domain, version


def _entry(data: memoryview) -> tuple[str, str]:
    found = {field.number: bytes(data[field.value_start : field.end]).decode() for field in wire.fields(data)}
    return found.get(_ENTRY_KEY, ""), found.get(_ENTRY_VALUE, "")


def _model_digest(data: memoryview) -> str:
    return sha256_of_parts(data[field.start : field.end] for field in wire.fields(data) if field.number != _METADATA)


def _without_our_metadata(data: memoryview) -> Iterator[memoryview]:
    ours = (CONTRACT_KEY, GOLDEN_KEY, SEAL_KEY)
    for field in wire.fields(data):
        if field.number != _METADATA or _entry(data[field.value_start : field.end])[0] not in ours:
            yield data[field.start : field.end]


def _metadata_entry(key: str, value: str) -> bytes:
    entry = wire.length_delimited(_ENTRY_KEY, key.encode()) + wire.length_delimited(_ENTRY_VALUE, value.encode())
    return wire.length_delimited(_METADATA, entry)


def _seal(contract_text: str, golden_text: str) -> str:
    parts = (contract_text.encode(), golden_text.encode())
    return sha256(*(len(part).to_bytes(8, "little") + part for part in parts))
