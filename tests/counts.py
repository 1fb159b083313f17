"""How often each repeated test repeats: small for `make test`, in full for `make test-full`. The one table of both."""

import os

# name: (make test, make test-full)
ROWS = {
    "random architectures": (40, 400),
    "mutated model files": (300, 5000),
    "mutated images": (300, 10000),
    "batch arithmetic examples": (100, 2000),
    "cancellation interleavings": (200, 1000),
    "drain rounds": (2, 50),
    "killed worker rounds": (2, 50),
    "reload rounds": (2, 50),
    "seconds of a cancel storm": (2, 120),
    "bodies cut into chunks": (100, 2000),
    "rolling restarts": (1, 20),
    "calls of a rolling restart": (1000, 10_000),
    "rotated certificates": (2, 25),
    "servers with versions on trial": (2, 3),
    "images of a classified folder": (500, 10_000),
    "requests of the leak test": (3000, 100_000),
    "faults under load": (4, 1000),
    "fuzzed messages": (1000, 100_000),
    "messages found by hypothesis": (100, 2000),
    "fuzzed images": (300, 10_000),
    "strange inference requests": (300, 10_000),
    "connections that make no sense": (30, 1000),
    "tensors through JSON": (20, 500),
    "made up inference requests": (200, 10_000),
    "made up requests of each operation": (2, 25),
}


def is_full() -> bool:
    """Whether the suite runs in full."""
    return os.environ.get("CONVEYOR_TEST_COUNTS") == "full"


def count(name: str) -> int:
    """The number of repetitions for the suite that runs now."""
    small, full = ROWS[name]
    return full if is_full() else small
