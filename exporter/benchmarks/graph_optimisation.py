"""What optimising a graph before it is written would gain over leaving that to ONNX Runtime when it loads.

    python exporter/benchmarks/graph_optimisation.py models/*/1/model.onnx

Three forms of each file: loaded as it is with all optimisations (as servers do), optimised once offline at the level
that fits any machine ("basic") and then loaded the same way, and loaded with optimisation switched off.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

BATCH_SIZES = (1, 8, 32)
ROUNDS = 60
LEVELS = onnxruntime.GraphOptimizationLevel


def session(path: Path, level: object, written_to: Path | None = None) -> onnxruntime.InferenceSession:
    """On one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = level
    options.log_severity_level = 3
    if written_to is not None:
        options.optimized_model_filepath = str(written_to)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def load_milliseconds(path: Path, level: object) -> float:
    """The median of several loads."""
    times = []
    for _ in range(9):
        start = time.perf_counter()
        session(path, level)
        times.append(1000 * (time.perf_counter() - start))
    return median(times)


def run_milliseconds(sessions: list[onnxruntime.InferenceSession], rows: NDArray[np.uint8]) -> list[float]:
    """Medians of runs in turns."""
    times: list[list[float]] = [[] for _ in sessions]
    for _ in range(ROUNDS):
        for each, taken in zip(sessions, times, strict=True):
            start = time.perf_counter()
            each.run(None, {each.get_inputs()[0].name: rows})
            taken.append(1000 * (time.perf_counter() - start))
    return [median(taken) for taken in times]


def compare(path: Path, folder: Path) -> None:
    """Prints one file's table."""
    offline = folder / "basic.onnx"
    session(path, LEVELS.ORT_ENABLE_BASIC, written_to=offline)
    forms = {
        "as exported": (path, LEVELS.ORT_ENABLE_ALL),
        "optimised offline": (offline, LEVELS.ORT_ENABLE_ALL),
        "never optimised": (path, LEVELS.ORT_DISABLE_ALL),
    }
    sessions = [session(file, level) for file, level in forms.values()]
    shape = sessions[0].get_inputs()[0].shape[1:]
    rows = np.random.default_rng(0).integers(0, 256, (max(BATCH_SIZES), *shape), dtype=np.uint8)
    runs = {size: run_milliseconds(sessions, rows[:size]) for size in BATCH_SIZES}
    header = "".join(f"{f'b{size} ms':>10}" for size in BATCH_SIZES)
    sys.stdout.write(f"{path}\n  {'':<18}{'nodes':>7}{'load ms':>9}{header}\n")
    for index, (name, (file, level)) in enumerate(forms.items()):
        nodes = len(onnx.load(str(file)).graph.node)
        times = "".join(f"{runs[size][index]:>10.3f}" for size in BATCH_SIZES)
        sys.stdout.write(f"  {name:<18}{nodes:>7}{load_milliseconds(file, level):>9.1f}{times}\n")


def main() -> None:
    """Every file on the command line."""
    with tempfile.TemporaryDirectory() as folder:
        for argument in sys.argv[1:]:
            compare(Path(argument), Path(folder))


if __name__ == "__main__":
    main()
