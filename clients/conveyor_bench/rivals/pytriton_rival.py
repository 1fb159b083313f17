"""PyTriton (Triton with Python callables) around ONNX Runtime, in PyTriton's own environment.

python pytriton_rival.py MODEL.onnx NAME; it says where it listens as our server does, and imports nothing of Conveyor.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

MAX_BATCH_SIZE = 64


def serve(model_file: str, name: str) -> None:
    """Serves until it is told to stop."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_file, options)
    (source,), (target,) = session.get_inputs(), session.get_outputs()

    @batch  # type: ignore[untyped-decorator]
    def run(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        (values,) = session.run([target.name], {source.name: inputs[source.name]})
        return {target.name: values}

    ports = [_free_port() for _ in range(3)]
    configuration = TritonConfig(
        http_address="127.0.0.1",
        grpc_address="127.0.0.1",
        http_port=ports[0],
        grpc_port=ports[1],
        metrics_port=ports[2],
        log_verbose=0,
    )
    with Triton(config=configuration) as triton:
        triton.bind(
            model_name=name,
            infer_func=run,
            inputs=[Tensor(name=source.name, dtype=np.float32, shape=tuple(source.shape[1:]))],
            outputs=[Tensor(name=target.name, dtype=np.float32, shape=tuple(target.shape[1:]))],
            config=ModelConfig(max_batch_size=MAX_BATCH_SIZE, batcher=DynamicBatcher()),
            strict=False,
        )
        triton.run()
        sys.stderr.write(f"ready address=127.0.0.1:{ports[1]}\n")
        sys.stderr.flush()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    # Triton tells stdout about itself at length.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # Waited for in `serve`: the default would kill this process and leave Triton behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve(sys.argv[1], sys.argv[2])
