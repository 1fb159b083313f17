"""Request bytes for a model, made from its tensors alone."""

from __future__ import annotations

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_contract.preprocessing import encode_png
from conveyor_server.batch import Rows
from conveyor_server.inference import inference_pb2
from conveyor_server.model import Model


def infer_request(model: Model, rows: Rows) -> bytes:
    """A ModelInferRequest with raw contents for a model of one input."""
    tensor = model.signature.inputs[0]
    request = inference_pb2.ModelInferRequest(model_name=model.name, raw_input_contents=[rows.tobytes()])
    request.inputs.add(name=tensor.name, datatype=tensor.datatype.name, shape=rows.shape)
    return request.SerializeToString()


def classify_request(model: Model, rows: Rows, encoded: bool) -> bytes:
    """A ClassifyRequest with a PNG or with raw pixels for each row; empty where the model takes no images."""
    if model.contract is None or not model.contract.HasField("preprocessing"):
        return b""
    images = [_image(row, model.contract.preprocessing.colour_mode, encoded) for row in rows]
    return classifier_pb2.ClassifyRequest(model_name=model.name, images=images).SerializeToString()


def _image(row: Rows, colour_mode: model_pb2.ColourMode, encoded: bool) -> classifier_pb2.Image:
    if encoded:
        return classifier_pb2.Image(encoded=encode_png(row))
    height, width = row.shape[:2]
    pixels = classifier_pb2.RawPixels(height=height, width=width, colour_mode=colour_mode, data=row.tobytes())
    return classifier_pb2.Image(pixels=pixels)
