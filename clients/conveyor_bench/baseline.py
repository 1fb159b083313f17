"""The same model in this process, without a server: what ONNX Runtime alone can do.

As a process of its own: python -m conveyor_bench.baseline MODEL.onnx BATCH SECONDS THREADS prints images/s.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conveyor_client import ConveyorClientError

_WARM_RUNS = 5


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """ONNX Runtime alone at one batch size."""

    batch_size: int
    threads: int
    runs: int
    milliseconds_per_run: float
    images_per_second: float

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return asdict(self)


def measure_baseline(model_file: Path, batch_size: int, seconds: float, threads: int) -> Baseline:
    """Runs batches of noise one after the other. Raises ConveyorClientError for a file that cannot be loaded."""
    # Only this part needs the engine; benchmarks of servers elsewhere do without.
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConveyorClientError(f"ONNX Runtime cannot load {model_file}: {error}") from error
    generator = np.random.default_rng(0)
    feeds: dict[str, Any] = {}
    for tensor in session.get_inputs():
        shape = [batch_size, *(size if isinstance(size, int) else 1 for size in tensor.shape[1:])]
        noise = generator.random(shape, np.float32)
        feeds[tensor.name] = (noise * 255).astype(np.uint8) if tensor.type == "tensor(uint8)" else noise
    for _ in range(_WARM_RUNS):
        session.run(None, feeds)
    runs, began = 0, time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds or not runs:
        session.run(None, feeds)
        runs += 1
    return Baseline(
        batch_size=batch_size,
        threads=threads,
        runs=runs,
        milliseconds_per_run=1e3 * taken / runs,
        images_per_second=batch_size * runs / taken,
    )


def main() -> None:
    """One figure on stdout."""
    model_file, batch_size, seconds, threads = sys.argv[1:]
    measured = measure_baseline(Path(model_file), int(batch_size), float(seconds), int(threads))
    sys.stdout.write(f"{measured.images_per_second}\n")


if __name__ == "__main__":
    main()
