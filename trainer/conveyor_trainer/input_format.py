"""What one row of a network's input is: an image that the contract's preprocessing makes, or a signal as it is."""

from __future__ import annotations

from dataclasses import dataclass

from conveyor.v1 import model_pb2
from conveyor_contract.preprocessing import Preprocessor


@dataclass(frozen=True, kw_only=True)
class SignalFormat:
    """Rows of float32 (channels, length), taken as they are."""

    channels: int
    length: int

    @property
    def row_shape(self) -> tuple[int, int]:
        """(C, L)."""
        return (self.channels, self.length)


# A Preprocessor's rows are uint8 (H, W, C).
InputFormat = Preprocessor | SignalFormat


def input_format_of(shape: tuple[int, ...]) -> InputFormat:
    """What feeds a network of this input shape: (C, H, W) with 1 or 3 channels, or (C, L)."""
    if len(shape) == 2:
        channels, length = shape
        return SignalFormat(channels=channels, length=length)
    channels, height, width = shape
    colour = model_pb2.COLOUR_MODE_GRAYSCALE if channels == 1 else model_pb2.COLOUR_MODE_RGB
    return Preprocessor(height=height, width=width, colour_mode=colour)
