"""How far answers may lie apart, by provider and precision.

|answer - reference| <= absolute + relative * |reference|, element by element.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_exporter.session import CPU_PROVIDER, CUDA_PROVIDER

# fp32 on the CPU: sums in another order, nothing else. Measured on small and residual networks: 1e-8 to 4e-7.
_CPU_ABSOLUTE, _CPU_RELATIVE = 1e-5, 1e-4
# fp32 elsewhere, TF32 off: other kernels, other orders.
_CUDA_ABSOLUTE, _CUDA_RELATIVE = 1e-4, 1e-3
_OTHER_ABSOLUTE, _OTHER_RELATIVE = 1e-3, 1e-2
# Lower precisions round at every layer, and a value on the edge of a step may fall to either side of it in another
# batch: how far a model may lie from itself.
_LOWER = {"fp16": (5e-3, 1e-2), "int8": (2e-2, 5e-2)}
# A golden sample of a lower precision may lie this many times as far from PyTorch as it did at export.
_LOWER_MARGIN = 2.0


def proof_tolerance(reference: NDArray[Any], precision: str = "fp32") -> model_pb2.Tolerance:
    """The rule of the proof itself: fp32 beside PyTorch on the CPU; a lower precision beside itself."""
    absolute, relative = _LOWER.get(precision, (_CPU_ABSOLUTE, _CPU_RELATIVE))
    return _tolerance(CPU_PROVIDER, precision, (absolute, relative), reference)


def golden_tolerances(reference: NDArray[Any], exported: NDArray[Any], precision: str) -> list[model_pb2.Tolerance]:
    """What golden samples state. fp32: for the CPU, for CUDA, for any other provider. A lower precision: for any, from
    how far the file itself lies from PyTorch."""
    if precision in _LOWER:
        tolerance = _tolerance("", precision, _LOWER[precision], reference)
        tolerance.absolute += _LOWER_MARGIN * float(np.abs(reference - exported).max(initial=0.0))
        return [tolerance]
    return [
        _tolerance(CPU_PROVIDER, precision, (_CPU_ABSOLUTE, _CPU_RELATIVE), reference),
        _tolerance(CUDA_PROVIDER, precision, (_CUDA_ABSOLUTE, _CUDA_RELATIVE), reference),
        _tolerance("", precision, (_OTHER_ABSOLUTE, _OTHER_RELATIVE), reference),
    ]


def _tolerance(
    provider: str, precision: str, limits: tuple[float, float], reference: NDArray[Any]
) -> model_pb2.Tolerance:
    """Answers of size 1, as probabilities, are the measure; values in the thousands may lie further apart."""
    finite = np.abs(reference[np.isfinite(reference)])
    scale = max(1.0, float(finite.max(initial=0.0)))
    absolute, relative = limits
    return model_pb2.Tolerance(provider=provider, precision=precision, absolute=absolute * scale, relative=relative)
