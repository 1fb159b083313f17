"""How far answers may lie apart, by provider and precision.

|answer - reference| <= absolute + relative * |reference|, element by element.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_exporter.session import CPU_PROVIDER

# fp32 on the CPU: sums in another order, nothing else. Measured on small and residual networks: 1e-8 to 4e-7.
_CPU_ABSOLUTE, _CPU_RELATIVE = 1e-5, 1e-4
# fp32 elsewhere, TF32 off: other kernels, other orders.
_CUDA_ABSOLUTE, _CUDA_RELATIVE = 1e-4, 1e-3
_OTHER_ABSOLUTE, _OTHER_RELATIVE = 1e-3, 1e-2


def proof_tolerance(reference: NDArray[Any]) -> model_pb2.Tolerance:
    """The rule of the proof itself: fp32 on the CPU."""
    return _tolerance(CPU_PROVIDER, _CPU_ABSOLUTE, _CPU_RELATIVE, reference)


def golden_tolerances(reference: NDArray[Any]) -> list[model_pb2.Tolerance]:
    """What golden samples state: for the CPU, for CUDA, for any other provider."""
    return [
        _tolerance(CPU_PROVIDER, _CPU_ABSOLUTE, _CPU_RELATIVE, reference),
        _tolerance("CUDAExecutionProvider", _CUDA_ABSOLUTE, _CUDA_RELATIVE, reference),
        _tolerance("", _OTHER_ABSOLUTE, _OTHER_RELATIVE, reference),
    ]


def _tolerance(provider: str, absolute: float, relative: float, reference: NDArray[Any]) -> model_pb2.Tolerance:
    """Answers of size 1, as probabilities, are the measure; values in the thousands may lie further apart."""
    finite = np.abs(reference[np.isfinite(reference)])
    scale = max(1.0, float(finite.max(initial=0.0)))
    return model_pb2.Tolerance(provider=provider, precision="fp32", absolute=absolute * scale, relative=relative)
