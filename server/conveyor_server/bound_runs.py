"""Runs of fixed sizes in buffers that stay: on a GPU nothing is allocated for a batch, and CUDA graphs can be used.

Each bucket has its own buffers on the device and on the host. A CUDA graph is a recording of one bucket's run, which
reads and writes the very same addresses; ONNX Runtime records it in the first runs of the bucket, by the thread that
runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from conveyor_server.batch import Rows, bucket_for
from conveyor_server.providers import load_runtime

# ONNX Runtime runs a bucket twice before it records its graph; the third run records it.
RUNS_TO_RECORD: Final = 3


@dataclass(frozen=True, kw_only=True)
class BoundTensor:
    """A tensor of the graph: its name, the shape of one row, and its type."""

    name: str
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the buffers are: ONNX Runtime's name of the device, "cuda" or "cpu"; and whether runs are recorded."""

    device: str
    device_id: int = 0
    graphs: bool = False


@dataclass(frozen=True, kw_only=True)
class _Bucket:
    """One size's buffers, bound to the session. `rows` is on the host; what is given beyond a batch is zero."""

    rows: Rows
    given: Any
    taken: Any
    binding: Any
    options: Any


class BoundRuns:
    """A session for batches of up to the largest of the ascending `buckets` (rows). Belongs to one thread at a time."""

    def __init__(
        self,
        session: Any,
        given: BoundTensor,
        taken: BoundTensor,
        buckets: Sequence[int],
        place: Place,
    ) -> None:
        self._session = session
        self._sizes = list(buckets)
        runtime = load_runtime()

        def buffers(number: int, size: int) -> _Bucket:
            def on_device(tensor: BoundTensor) -> Any:
                shape = [size, *tensor.row_shape]
                return runtime.OrtValue.ortvalue_from_shape_and_type(shape, tensor.dtype, place.device, place.device_id)

            values = on_device(given), on_device(taken)
            binding = session.io_binding()
            binding.bind_ortvalue_input(given.name, values[0])
            binding.bind_ortvalue_output(taken.name, values[1])
            options = runtime.RunOptions()
            if place.graphs:
                # 0 is kept for ONNX Runtime itself.
                options.add_run_config_entry("gpu_graph_id", str(number + 1))
            rows = np.zeros((size, *given.row_shape), given.dtype)
            return _Bucket(rows=rows, given=values[0], taken=values[1], binding=binding, options=options)

        self._buckets = {size: buffers(number, size) for number, size in enumerate(self._sizes)}
        self._runs_to_warm = RUNS_TO_RECORD if place.graphs else 1

    def run(self, rows: Rows) -> Rows:
        """As many rows of output; raises what ONNX Runtime raises, and ValueError for more than the largest bucket."""
        size = len(rows)
        bucket = self._buckets[bucket_for(size, self._sizes)]
        if size == len(bucket.rows):
            bucket.given.update_inplace(np.ascontiguousarray(rows))
        else:
            bucket.rows[:size] = rows
            bucket.rows[size:] = 0
            bucket.given.update_inplace(bucket.rows)
        bucket.binding.synchronize_inputs()
        self._session.run_with_iobinding(bucket.binding, bucket.options)
        bucket.binding.synchronize_outputs()
        # A copy: on the CPU this is the very buffer, which the next run writes.
        output: Rows = np.array(bucket.taken.numpy()[:size])
        return output

    def warm(self, sizes: Sequence[int]) -> None:
        """Runs zeros at each size, as often as it takes until every later run is like the last."""
        for size in sizes:
            bucket = self._buckets[bucket_for(size, self._sizes)]
            for _ in range(self._runs_to_warm):
                self.run(np.zeros_like(bucket.rows))
