"""The largest values with index and label, whatever the values are."""

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from conveyor_server.inference.classification import top_classes

TYPES = st.sampled_from(["<f4", "<f8", "u1", "i1", "<i8", "<u8"]).map(np.dtype)
VALUES = TYPES.flatmap(lambda dtype: arrays.arrays(dtype, st.integers(1, 12)))


@given(VALUES, st.integers(1, 15))
def test_the_largest_come_first_and_equal_ones_by_index(values: npt.NDArray[Any], count: int) -> None:
    found = [int(text.split(":")[1]) for text in top_classes(values, count, [])]
    numbered = [(index, value) for index, value in enumerate(values.tolist()) if value == value]  # noqa: PLR0124 -- NaN
    expected = [index for index, _ in sorted(numbered, key=lambda pair: -pair[1])]
    ranked = [index for index in found if values[index] == values[index]]
    assert len(found) == min(count, len(values))
    assert len(set(found)) == len(found)
    assert ranked == expected[: len(ranked)]


def test_values_have_six_decimals_and_whole_numbers_none() -> None:
    assert top_classes(np.array([12.989715, 0.5], np.float32), 2, ["a", "b"]) == ["12.989715:0:a", "0.500000:1:b"]
    assert top_classes(np.array([3, 250], np.uint8), 1, []) == ["250:1"]
