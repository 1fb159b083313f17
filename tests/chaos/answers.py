"""The models that are asked, and their right answers, computed here from the very files that the server loads."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from tests.models import write_tiny_model
from tests.server.envoy.asking import ROWS

MODEL = "tiny"
# Apart, as floats are from one batch size to another.
TOLERANCE = 1e-4


class RightAnswers:
    """What each version of `tiny` says of each of ROWS."""

    def __init__(self) -> None:
        self._outputs: dict[str, npt.NDArray[np.float32]] = {}

    def write(self, repository: Path, version: int) -> Path:
        """Writes a version with weights of its own, and notes its answers."""
        path = write_tiny_model(repository, MODEL, version, seed=version)
        self.note(path, version)
        return path

    def note(self, path: Path, version: int) -> None:
        """Notes the answers of a file that is, or will be, that version."""
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._outputs[str(version)] = session.run(None, {"image": ROWS})[0]

    def mistake(self, version: str, index: int, label: int, probability: float) -> str | None:
        """What is wrong with the most probable label that `version` is said to have given; None if nothing is."""
        known = self._outputs.get(version)
        if known is None:
            return f"version {version!r} was never there"
        right = known[index % len(ROWS)]
        if label != right.argmax() or abs(probability - right[label]) > TOLERANCE:
            return f"row {index}: class {label} with {probability:.4f}, and right is {right.argmax()} of {right}"
        return None
