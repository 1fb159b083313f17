"""`digits`: the 1,797 real handwritten digits of 8x8 pixels that come inside scikit-learn. No download.

The data: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from conveyor_contract.digests import sha256
from conveyor_trainer.data.source import Source
from conveyor_trainer.errors import DataError


def load_digits_source(data_dir: Path | None) -> Source:
    """All 1,797 images as one part, without a test part of their own. `data_dir` is not looked at."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("the digits data set needs scikit-learn: install conveyor[train]") from error
    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # they come as 0..16
    classes = bunch.target.astype(np.int64)
    return Source(
        name="digits",
        labels=tuple(str(digit) for digit in range(10)),
        images=images,
        classes=classes,
        test_images=None,
        test_classes=None,
        digest=sha256(images.tobytes(), classes.astype("<i8").tobytes()),
    )
