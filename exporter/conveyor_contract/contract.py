"""The contract as text: how it is written into a file, read back, and held to be whole.

Contracts are proto3 JSON with the fields' own names, sorted keys and no spaces, so that equal contracts are equal
bytes. Reading ignores unknown fields; the gate is the schema version's major number.
"""

import json
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from conveyor.v1 import model_pb2
from conveyor_contract.errors import ContractError

SCHEMA_VERSION = "1.0"
CONTRACT_KEY = "conveyor.contract"
GOLDEN_KEY = "conveyor.golden"
SEAL_KEY = "conveyor.seal"
BATCH_AXIS = "batch"
IMAGE_INPUT = "image"
SIGNAL_INPUT = "signal"
PROBABILITIES_OUTPUT = "probabilities"
VALUES_OUTPUT = "values"

AnyMessage = TypeVar("AnyMessage", bound=Message)


def canonical_json(message: Message) -> str:
    """The one text of a message: equal messages give equal text."""
    content = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parse_contract(text: str) -> model_pb2.ModelContract:
    """Reads a contract. Raises ContractError if it is malformed or of a newer major schema version."""
    contract = _parse(text, model_pb2.ModelContract(), CONTRACT_KEY)
    _check_schema_version(contract.schema_version)
    return contract


def parse_golden(text: str) -> model_pb2.GoldenSamples:
    """Reads the golden samples. Raises ContractError if they are malformed."""
    return _parse(text, model_pb2.GoldenSamples(), GOLDEN_KEY)


def _parse(text: str, message: AnyMessage, key: str) -> AnyMessage:
    try:
        return json_format.Parse(text, message, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ContractError(f"the model's {key} cannot be read ({error}); export the model again.") from error


def _check_schema_version(version: str) -> None:
    major, _, minor = version.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise ContractError(f"the contract's schema_version is {version!r}; expected MAJOR.MINOR, as {SCHEMA_VERSION}.")
    known = SCHEMA_VERSION.partition(".")[0]
    if int(major) > int(known):
        raise ContractError(
            f"the contract has schema version {version}, and this Conveyor reads up to {known}.x; "
            f"upgrade to a Conveyor that reads schema {major}."
        )


def dimensions(*sizes: int | str) -> list[model_pb2.Dimension]:
    """A shape as the contract writes it: numbers are fixed sizes, words are free axes."""
    return [
        model_pb2.Dimension(symbol=size) if isinstance(size, str) else model_pb2.Dimension(size=size) for size in sizes
    ]


def shape_of(spec: model_pb2.TensorSpec) -> tuple[int | str, ...]:
    """A tensor's shape as sizes and names of free axes: ("batch", 28, 28, 1)."""
    return tuple(d.symbol if d.WhichOneof("kind") == "symbol" else d.size for d in spec.shape)


def row_shape_of(spec: model_pb2.TensorSpec) -> tuple[int, ...]:
    """The sizes of one row: the shape without its batch axis. Raises ContractError if another axis is free."""
    shape = shape_of(spec)
    sizes = tuple(size for size in shape[1:] if isinstance(size, int))
    if not shape or shape[0] != BATCH_AXIS or len(sizes) != len(shape) - 1:
        raise ContractError(
            f"the contract's tensor {spec.name!r} has shape {list(shape)}; expected a free axis {BATCH_AXIS!r} first "
            "and fixed sizes after it."
        )
    return sizes


def validate_contract(contract: model_pb2.ModelContract) -> None:
    """Raises ContractError if the contract is incomplete or contradicts itself."""
    _check_schema_version(contract.schema_version)
    if not contract.model_name:
        raise ContractError("the contract names no model; export the model again with a name.")
    if contract.task not in (model_pb2.TASK_CLASSIFICATION, model_pb2.TASK_REGRESSION):
        raise ContractError(f"the contract's task is {contract.task}; expected classification or regression.")
    if len(contract.inputs) != 1 or len(contract.outputs) != 1:
        raise ContractError(
            f"the contract has {len(contract.inputs)} inputs and {len(contract.outputs)} outputs; expected one of each."
        )
    row_shape_of(contract.inputs[0])
    _check_output(contract)
    _check_batching(contract.batching)
    if contract.HasField("preprocessing"):
        _check_preprocessing(contract)


def _check_output(contract: model_pb2.ModelContract) -> None:
    output_shape = row_shape_of(contract.outputs[0])
    if len(output_shape) != 1:
        raise ContractError(
            f"the contract's output {contract.outputs[0].name!r} has rows of shape {list(output_shape)}; "
            "expected one axis: a value per label."
        )
    if contract.task == model_pb2.TASK_CLASSIFICATION and len(contract.labels) != output_shape[0]:
        raise ContractError(
            f"the contract has {len(contract.labels)} labels for {output_shape[0]} outputs; give one label per output."
        )


def _check_batching(batching: model_pb2.Batching) -> None:
    buckets = list(batching.buckets)
    ascending = buckets == sorted(set(buckets)) and bool(buckets) and buckets[0] >= 1
    if not ascending or buckets[-1] != batching.max_batch_size:
        raise ContractError(
            f"the contract's buckets are {buckets} with max_batch_size {batching.max_batch_size}; "
            "expected ascending sizes of at least 1, the last equal to max_batch_size."
        )


def _check_preprocessing(contract: model_pb2.ModelContract) -> None:
    preprocessing = contract.preprocessing
    channels = 1 if preprocessing.colour_mode == model_pb2.COLOUR_MODE_GRAYSCALE else 3
    expected = (preprocessing.height, preprocessing.width, channels)
    row_shape = row_shape_of(contract.inputs[0])
    if row_shape != expected:
        raise ContractError(
            f"the contract's preprocessing makes rows of {list(expected)} for an input of {list(row_shape)}; "
            "both must be height x width x channels."
        )
