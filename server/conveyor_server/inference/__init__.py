"""inference.GRPCInferenceService: the Open Inference Protocol with Triton's extensions, over the same models."""

from typing import Final

SERVICE: Final = "inference.GRPCInferenceService"
