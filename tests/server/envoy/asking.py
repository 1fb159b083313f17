"""Requests for `tiny`, and their right answers."""

from functools import cache
from pathlib import Path

import grpc
import numpy as np
import onnxruntime

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from tests.server.process import ServerProcess

ROWS = np.random.default_rng(7).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)


def image(index: int) -> pb.Image:
    """One of ROWS, as raw pixels."""
    data = ROWS[index % len(ROWS)].tobytes()
    return pb.Image(pixels=pb.RawPixels(height=8, width=8, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE, data=data))


def request(index: int) -> pb.ClassifyRequest:
    """A request with one of ROWS."""
    return pb.ClassifyRequest(model_name="tiny", images=[image(index)])


@cache
def right_labels(models: Path) -> tuple[int, ...]:
    """For each of ROWS what ONNX Runtime itself says of the very file."""
    session = onnxruntime.InferenceSession(models / "tiny" / "1" / "model.onnx")
    return tuple(session.run(None, {"image": ROWS})[0].argmax(axis=1).tolist())


def label_of(result: pb.Result) -> int:
    """The index of the most probable label."""
    return result.answer.predictions[0].index


def is_right(models: Path, index: int, response: pb.ClassifyResponse) -> bool:
    """Whether `response` answers `request(index)`."""
    return label_of(response.results[0]) == right_labels(models)[index % len(ROWS)]


def channel_to(server: ServerProcess) -> grpc.Channel:
    """A connection of its own: grpcio shares connections between equal channels."""
    return grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])
