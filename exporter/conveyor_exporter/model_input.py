"""What a network is fed with, and the arithmetic that its graph does before the first layer.

`normalise` is that arithmetic in numpy. The proof computes PyTorch's answers with it, so that the graph's own head
(wrapper.py) is compared with something other than itself.
"""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_contract.contract import BATCH_AXIS, IMAGE_INPUT, SIGNAL_INPUT, dimensions
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.errors import ExportError

Rows = NDArray[Any]  # uint8 [N, H, W, C] for images, float32 [N, C, L] for signals

PIXEL_SCALE = 1 / 255


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """uint8 rows [H, W, C]; the network itself takes float32 [N, C, H, W], normalised per channel.

    `mean` and `standard_deviation` are of pixels in 0..1, one per channel.
    """

    preprocessor: Preprocessor
    mean: tuple[float, ...]
    standard_deviation: tuple[float, ...]
    scale: float = PIXEL_SCALE
    layout: model_pb2.Layout.ValueType = model_pb2.LAYOUT_NCHW  # in which the network itself takes them

    def __post_init__(self) -> None:
        _check_normalisation(self.mean, self.standard_deviation, self.preprocessor.channels)

    def spec(self) -> model_pb2.TensorSpec:
        return model_pb2.TensorSpec(
            name=IMAGE_INPUT,
            datatype="UINT8",
            shape=dimensions(BATCH_AXIS, *self.preprocessor.row_shape),
            layout=model_pb2.LAYOUT_NHWC,
            meaning=model_pb2.MEANING_IMAGE,
        )

    def preprocessing(self) -> model_pb2.Preprocessing:
        in_graph = model_pb2.InGraph(
            scale=self.scale,
            mean=self.mean,
            standard_deviation=self.standard_deviation,
            from_layout=model_pb2.LAYOUT_NHWC,
            to_layout=self.layout,
        )
        return self.preprocessor.to_message(in_graph)

    def normalise(self, rows: Rows) -> NDArray[np.float32]:
        """uint8 [N, H, W, C] to float32 [N, C, H, W]."""
        mean, deviation = _float32(self.mean), _float32(self.standard_deviation)
        normalised = (rows.astype(np.float32) * np.float32(self.scale) - mean) / deviation
        # A copy even where numpy sees no need for one: PyTorch takes the strides of one channel for another layout.
        return normalised.transpose(0, 3, 1, 2).copy(order="C")


@dataclass(frozen=True, kw_only=True)
class SignalInput:
    """float32 rows [C, L]; the network takes [N, C, L], normalised per channel."""

    channels: int
    length: int
    mean: tuple[float, ...]
    standard_deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_normalisation(self.mean, self.standard_deviation, self.channels)

    def spec(self) -> model_pb2.TensorSpec:
        return model_pb2.TensorSpec(
            name=SIGNAL_INPUT,
            datatype="FP32",
            shape=dimensions(BATCH_AXIS, self.channels, self.length),
            layout=model_pb2.LAYOUT_NCL,
            meaning=model_pb2.MEANING_SIGNAL,
        )

    def preprocessing(self) -> None:
        """Signals are sent as the tensor itself: nothing is done to them before the graph."""

    def normalise(self, rows: Rows) -> NDArray[np.float32]:
        """float32 [N, C, L] to the same shape."""
        mean, deviation = _float32(self.mean)[:, None], _float32(self.standard_deviation)[:, None]
        return np.ascontiguousarray((rows - mean) / deviation, dtype=np.float32)


ModelInput = ImageInput | SignalInput


def image_input(
    shape: tuple[int, int, int],
    mean: tuple[float, ...] = (),
    standard_deviation: tuple[float, ...] = (),
) -> ImageInput:
    """Images of shape (C, H, W), C being 1 or 3, stretched to size; without mean and deviation pixels stay 0..1."""
    channels, height, width = shape
    colour_modes = {1: model_pb2.COLOUR_MODE_GRAYSCALE, 3: model_pb2.COLOUR_MODE_RGB}
    if channels not in colour_modes:
        raise ExportError(
            f"the input has {channels} channels; images have 1 (grayscale) or 3 (RGB): give the input as CxHxW, "
            "as 3x224x224."
        )
    return ImageInput(
        preprocessor=Preprocessor(height=height, width=width, colour_mode=colour_modes[channels]),
        mean=mean or (0.0,) * channels,
        standard_deviation=standard_deviation or (1.0,) * channels,
    )


def _float32(values: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def _check_normalisation(mean: tuple[float, ...], deviation: tuple[float, ...], channels: int) -> None:
    if len(mean) != channels or len(deviation) != channels:
        raise ExportError(
            f"the normalisation has {len(mean)} means and {len(deviation)} standard deviations for {channels} "
            "channels; give one of each per channel."
        )
    if not all(np.isfinite(mean)) or not all(np.isfinite(deviation)) or min(deviation) <= 0:
        raise ExportError(f"the standard deviations are {deviation} and the means {mean}; deviations must be above 0.")
