"""`digits`: the 1,797 real handwritten digits of 8x8 pixels that come inside scikit-learn. No download.

The data: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

import numpy as np

from conveyor_contract.digests import sha256
from conveyor_trainer.data.request import DataRequest
from conveyor_trainer.data.source import Source, preprocessed
from conveyor_trainer.data.split import Split
from conveyor_trainer.errors import DataError


def load_digits_source(request: DataRequest) -> Source:
    """All 1,797 images as one part, without a test part of their own. The request's folder is not looked at."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("the digits data set needs scikit-learn: install conveyor[train]") from error
    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # they come as 0..16
    classes = bunch.target.astype(np.int64)
    return Source(
        labels=tuple(str(digit) for digit in range(10)),
        train=Split(rows=preprocessed(images, request.input_format), targets=classes),
        digest=sha256(images.tobytes(), classes.astype("<i8").tobytes()),
    )
