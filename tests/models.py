"""Small real model files for tests: an ONNX graph, its contract and golden samples, made without PyTorch."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from conveyor.v1 import model_pb2
from conveyor_contract.contract import SCHEMA_VERSION
from conveyor_contract.digests import row_digest
from conveyor_contract.model_file import write_contract
from conveyor_contract.preprocessing import Preprocessor, encode_png

OPSET = 18
IR_VERSION = 10
SAMPLES = 3


def write_tiny_model(
    repository: Path,
    name: str = "tiny",
    version: int = 1,
    *,
    classes: int = 3,
    height: int = 8,
    width: int = 8,
    channels: int = 1,
    max_batch_size: int = 8,
    seed: int = 0,
) -> Path:
    """Writes REPOSITORY/NAME/VERSION/model.onnx, a linear classifier of uint8 images, and returns its path.

    Labels are "class 0", "class 1", ...; another `seed` gives other weights and so other answers.
    """
    generator = np.random.default_rng(seed)
    weights = generator.normal(0, 0.5, (height * width * channels, classes)).astype(np.float32)
    weights -= weights.mean(axis=0)  # else one class has the largest sum and wins on every image of noise
    graph = tiny_graph(weights, (height, width, channels)).SerializeToString()
    preprocessor = Preprocessor(
        height=height,
        width=width,
        colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE if channels == 1 else model_pb2.COLOUR_MODE_RGB,
        resize_mode=model_pb2.RESIZE_MODE_STRETCH,
        shortest_side=0,
    )
    rows = generator.integers(0, 256, (SAMPLES, height, width, channels), dtype=np.uint8)
    contract = tiny_contract(name, classes, preprocessor, max_batch_size)
    target = repository / name / str(version) / "model.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_contract(graph, target, contract, tiny_golden(graph, weights, rows))
    return target


def tiny_answers(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What the graph computes, by numpy: uint8 [N, H, W, C] to probabilities [N, classes]."""
    logits = rows.reshape(len(rows), -1).astype(np.float32) / np.float32(255) @ weights
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def tiny_graph(weights: np.ndarray, row_shape: tuple[int, int, int]) -> onnx.ModelProto:
    """uint8 `image` [batch, H, W, C] -> cast -> scale -> flatten -> gemm -> softmax -> `probabilities`."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *row_shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", weights.shape[1]])],
        [
            numpy_helper.from_array(np.array(1 / 255, np.float32), "scale"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def tiny_contract(name: str, classes: int, preprocessor: Preprocessor, max_batch_size: int) -> model_pb2.ModelContract:
    """A contract with every field that serving reads."""
    batch = model_pb2.Dimension(symbol="batch")
    row = [model_pb2.Dimension(size=size) for size in preprocessor.row_shape]
    channels = preprocessor.channels
    in_graph = model_pb2.InGraph(
        scale=1 / 255,
        mean=[0.0] * channels,
        standard_deviation=[1.0] * channels,
        from_layout=model_pb2.LAYOUT_NHWC,
        to_layout=model_pb2.LAYOUT_NHWC,
    )
    return model_pb2.ModelContract(
        schema_version=SCHEMA_VERSION,
        model_name=name,
        task=model_pb2.TASK_CLASSIFICATION,
        labels=[f"class {index}" for index in range(classes)],
        inputs=[
            model_pb2.TensorSpec(
                name="image",
                datatype="UINT8",
                shape=[batch, *row],
                layout=model_pb2.LAYOUT_NHWC,
                meaning=model_pb2.MEANING_IMAGE,
            )
        ],
        outputs=[
            model_pb2.TensorSpec(
                name="probabilities",
                datatype="FP32",
                shape=[batch, model_pb2.Dimension(size=classes)],
                layout=model_pb2.LAYOUT_NC,
                meaning=model_pb2.MEANING_PROBABILITIES,
            )
        ],
        preprocessing=preprocessor.to_message(in_graph),
        batching=model_pb2.Batching(max_batch_size=max_batch_size, buckets=tiny_buckets(max_batch_size)),
        precision="fp32",
        provider="CPUExecutionProvider",
        provenance=model_pb2.Provenance(opset=OPSET, ir_version=IR_VERSION),
    )


def tiny_buckets(max_batch_size: int) -> list[int]:
    """The powers of two below `max_batch_size`, and itself."""
    powers = [2**power for power in range(max_batch_size.bit_length())]
    return [*(size for size in powers if size < max_batch_size), max_batch_size]


def tiny_golden(graph: bytes, weights: np.ndarray, rows: np.ndarray) -> model_pb2.GoldenSamples:
    """Golden samples of the rows: numpy's answers as the reference, ONNX Runtime's as the exported file's."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    exported = session.run(None, {"image": rows})[0]
    reference = tiny_answers(weights, rows)
    samples = [
        model_pb2.GoldenSample(
            name=f"noise-{index}",
            encoded_image=encode_png(row),
            row_digest=row_digest(row),
            reference_output=reference[index].tolist(),
            exported_output=exported[index].tolist(),
            label_index=int(reference[index].argmax()),
            label=f"class {reference[index].argmax()}",
        )
        for index, row in enumerate(rows)
    ]
    tolerances = [
        model_pb2.Tolerance(provider="CPUExecutionProvider", precision="fp32", absolute=1e-5, relative=1e-4),
        model_pb2.Tolerance(precision="fp32", absolute=1e-4, relative=1e-3),
    ]
    return model_pb2.GoldenSamples(samples=samples, tolerances=tolerances, synthetic=True)
