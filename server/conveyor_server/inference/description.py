"""A model as this wire describes it: its metadata, and the configuration that it is served with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from conveyor.v1 import model_pb2
from conveyor_server.batch import DEFAULT_PRIORITY
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.model import Model
from conveyor_server.providers import CUDA
from conveyor_server.request_queue import PRIORITIES
from conveyor_server.signature import TensorSignature
from conveyor_server.version_policy import VersionPolicy

PLATFORM: Final = "onnxruntime_onnx"
BACKEND: Final = "onnxruntime"
MODEL_FILENAME: Final = "model.onnx"

_FORMATS: Final = {model_pb2.LAYOUT_NHWC: pb.ModelInput.FORMAT_NHWC, model_pb2.LAYOUT_NCHW: pb.ModelInput.FORMAT_NCHW}


def metadata_of(model: Model, versions: Iterable[int]) -> pb.ModelMetadataResponse:
    """A model's tensors, with the batch axis as -1; `versions` are those that are ready."""
    return pb.ModelMetadataResponse(
        name=model.name,
        versions=[str(version) for version in versions],
        platform=PLATFORM,
        inputs=[_tensor_metadata(tensor, model) for tensor in model.signature.inputs],
        outputs=[_tensor_metadata(tensor, model) for tensor in model.signature.outputs],
    )


def config_of(model: Model, policy: VersionPolicy) -> pb.ModelConfig:
    """How a model is batched and run, the batch axis left out of its shapes; `policy` says which versions serve."""
    signature = model.signature
    config = pb.ModelConfig(
        name=model.name,
        platform=PLATFORM,
        backend=BACKEND,
        default_model_filename=MODEL_FILENAME,
        version_policy=_policy(policy),
        max_batch_size=signature.max_batch_size,
        input=[
            pb.ModelInput(
                name=tensor.name, data_type=_data_type(tensor), format=_format(model), dims=tensor.shape or (1,)
            )
            for tensor in signature.inputs
        ],
        output=[
            pb.ModelOutput(name=tensor.name, data_type=_data_type(tensor), dims=tensor.shape)
            for tensor in signature.outputs
        ],
        instance_group=[
            pb.ModelInstanceGroup(
                name=model.name,
                count=model.batcher.instance_count,
                kind=pb.ModelInstanceGroup.KIND_GPU if model.provider == CUDA else pb.ModelInstanceGroup.KIND_CPU,
            )
        ],
        dynamic_batching=_dynamic_batching(model) if signature.max_batch_size else None,
        model_warmup=[_warmup(model, size) for size in _buckets(model)],
    )
    config.parameters["file_digest"].string_value = model.file_digest
    config.parameters["provider"].string_value = model.provider
    return config


def _policy(policy: VersionPolicy) -> pb.ModelVersionPolicy:
    if policy.only is not None:
        return pb.ModelVersionPolicy(specific=pb.ModelVersionPolicy.Specific(versions=sorted(policy.only)))
    if policy.limit is not None:
        return pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=policy.limit))
    return pb.ModelVersionPolicy(all=pb.ModelVersionPolicy.All())


def _tensor_metadata(tensor: TensorSignature, model: Model) -> pb.ModelMetadataResponse.TensorMetadata:
    shape = model.signature.full_shape(tensor)
    return pb.ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype.name, shape=shape)


def _data_type(tensor: TensorSignature) -> pb.DataType.ValueType:
    name = tensor.datatype.name
    return pb.TYPE_STRING if name == "BYTES" else pb.DataType.Value(f"TYPE_{name}")


def _format(model: Model) -> pb.ModelInput.Format.ValueType:
    if model.contract is None:
        return pb.ModelInput.FORMAT_NONE
    return _FORMATS.get(model.contract.inputs[0].layout, pb.ModelInput.FORMAT_NONE)


def _buckets(model: Model) -> Sequence[int]:
    return model.contract.batching.buckets if model.contract else ()


def _dynamic_batching(model: Model) -> pb.ModelDynamicBatching:
    limits = model.batcher.limits
    return pb.ModelDynamicBatching(
        preferred_batch_size=_buckets(model),
        max_queue_delay_microseconds=round(limits.max_queue_delay * 1_000_000),
        priority_levels=len(PRIORITIES),
        default_priority_level=DEFAULT_PRIORITY,
        default_queue_policy=pb.ModelQueuePolicy(
            timeout_action=pb.ModelQueuePolicy.REJECT,
            allow_timeout_override=True,
            max_queue_size=limits.max_queue_size,
            default_timeout_microseconds=round(limits.default_timeout * 1_000_000),
        ),
    )


def _warmup(model: Model, size: int) -> pb.ModelWarmup:
    warmup = pb.ModelWarmup(name=f"bucket {size}", batch_size=size)
    for tensor in model.signature.inputs:
        warmup.inputs[tensor.name].CopyFrom(
            pb.ModelWarmup.Input(data_type=_data_type(tensor), dims=tensor.shape, zero_data=True)
        )
    return warmup
