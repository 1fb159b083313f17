"""fp16 for CUDA: everything between the head that normalises and the softmax in half precision."""

import onnx

from conveyor_exporter.errors import ExportError
from conveyor_exporter.onnx_graph import strip_machine_traces

_FIRST_OF_NETWORK = ("Conv", "Gemm", "MatMul")


def to_half(model: bytes) -> bytes:
    """The fp16 form of a serialized fp32 model. Raises ExportError when the converter cannot make it."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    graph = onnx.load_from_string(model)
    try:
        half = convert_float_to_float16(
            graph,
            keep_io_types=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, "Softmax"],
            node_block_list=_head(graph),
        )
        # Every node that stays in float got casts of its own: between two such nodes they would round for nothing.
        cleaned = OnnxModel(half)
        cleaned.remove_cascaded_cast_nodes()
        cleaned.topological_sort(is_deterministic=True)
    except Exception as error:  # the converter raises whatever its many parts do
        raise ExportError(f"the model cannot be written in fp16 ({' '.join(str(error).split())}).") from error
    strip_machine_traces(cleaned.model)
    return bytes(cleaned.model.SerializeToString(deterministic=True))


def _head(graph: onnx.ModelProto) -> list[str]:
    """Names of the nodes before the first layer: pixels up to 255 times a scale lose digits in half precision."""
    names = []
    for node in graph.graph.node:
        if node.op_type in _FIRST_OF_NETWORK:
            break
        names.append(node.name)
    return names
