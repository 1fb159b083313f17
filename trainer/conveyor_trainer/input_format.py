"""What one row of a network's input is: an image that the contract's preprocessing makes, or a signal as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conveyor_contract.preprocessing import Preprocessor

Task = Literal["classification", "regression"]


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
