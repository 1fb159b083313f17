"""ONNX Runtime's telemetry, which keeps a database of events in the user's cache and sends from it."""

import os
from typing import Final

SWITCH: Final = "ORT_DISABLE_TELEMETRY"


def switch_telemetry_off() -> None:
    """For this process and those that it starts; to be called before ONNX Runtime is imported, which reads it then."""
    os.environ[SWITCH] = "1"
