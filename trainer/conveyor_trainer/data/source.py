"""What a data set's own module gives: its images as they are, before preprocessing and splitting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor_trainer.data.split import Labels


@dataclass(frozen=True, kw_only=True)
class Source:
    """Images of any size, uint8 (N, h, w) or (N, h, w, 3). `test_*` are None where the data set has no test part."""

    name: str
    labels: tuple[str, ...]
    images: NDArray[np.uint8]
    classes: Labels
    test_images: NDArray[np.uint8] | None
    test_classes: Labels | None
    digest: str  # "sha256:<hex>" of the contents
