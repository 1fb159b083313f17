"""Golden samples: read back exactly, compared with a tolerance, and never passed by accident."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_contract.digests import row_digest
from conveyor_contract.errors import ContractError
from conveyor_contract.golden import compare, row_of_sample, row_of_tensor, tensor_of_row, tolerance_for
from conveyor_contract.model_file import read_model_file
from conveyor_contract.preprocessing import Preprocessor
from tests.models import write_tiny_model

STRICT = model_pb2.Tolerance(precision="fp32", absolute=1e-6, relative=1e-3)


def test_a_difference_within_the_tolerance_passes_and_beyond_it_fails() -> None:
    reference = np.array([0.0, 0.5, 100.0], np.float32)
    assert compare(reference + np.array([1e-7, 1e-4, 0.05], np.float32), reference, STRICT).ok
    assert not compare(reference + np.array([1e-5, 0, 0], np.float32), reference, STRICT).ok
    assert not compare(reference + np.array([0, 0, 0.2], np.float32), reference, STRICT).ok
    assert compare(reference + np.float32(0.25), reference, STRICT).max_absolute == pytest.approx(0.25)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_never_passes(value: float) -> None:
    generous = model_pb2.Tolerance(absolute=1e30)
    assert not compare(np.array([value], np.float32), np.array([0.5], np.float32), generous).ok


def test_an_answer_of_another_shape_is_an_error() -> None:
    with pytest.raises(ContractError, match="shape"):
        compare(np.zeros(3, np.float32), np.zeros(4, np.float32), STRICT)


def test_the_exact_provider_comes_before_any() -> None:
    cuda = model_pb2.Tolerance(provider="CUDAExecutionProvider", precision="fp32", absolute=1e-3)
    golden = model_pb2.GoldenSamples(tolerances=[STRICT, cuda])
    assert tolerance_for(golden, "CUDAExecutionProvider", "fp32") == cuda
    assert tolerance_for(golden, "CPUExecutionProvider", "fp32") == STRICT
    with pytest.raises(ContractError, match="no tolerance for int8"):
        tolerance_for(golden, "CPUExecutionProvider", "int8")


def test_a_sample_whose_preprocessing_changed_is_found(tmp_path: Path) -> None:
    model = read_model_file(write_tiny_model(tmp_path, height=8, width=8))
    assert model.golden is not None
    assert model.contract is not None
    preprocessor = Preprocessor.from_message(model.contract.preprocessing)
    sample = model.golden.samples[0]
    assert row_of_sample(sample, preprocessor).shape == (8, 8, 1)
    sample.row_digest = row_digest(np.zeros((8, 8, 1), np.uint8))
    with pytest.raises(ContractError, match="preprocessing gives other pixels"):
        row_of_sample(sample, preprocessor)
    with pytest.raises(ContractError, match="no preprocessing"):
        row_of_sample(sample, None)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_tensor_survives_the_message(dtype: type) -> None:
    row: NDArray[Any] = np.arange(24).reshape(2, 3, 4).astype(dtype)
    assert (row_of_tensor(tensor_of_row(row)) == row).all()


def test_a_tensor_whose_size_does_not_fit_is_refused() -> None:
    with pytest.raises(ContractError, match="has 3 bytes; expected 4"):
        row_of_tensor(model_pb2.Tensor(datatype="UINT8", shape=[2, 2], data=b"abc"))
    with pytest.raises(ContractError, match="datatype 'FP64'"):
        row_of_tensor(model_pb2.Tensor(datatype="FP64", shape=[1], data=bytes(8)))
    with pytest.raises(ContractError, match="has 4 bytes"):
        row_of_tensor(model_pb2.Tensor(datatype="UINT8", shape=[-2, -2], data=b"abcd"))
