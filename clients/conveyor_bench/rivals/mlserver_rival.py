"""MLServer with adaptive batching around ONNX Runtime, in MLServer's own environment; imports nothing of Conveyor.

python mlserver_rival.py MODEL.onnx NAME; it says where it listens as our server does.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

import numpy as np
import onnxruntime
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

# Rows of a batch, and the seconds that one waits for company: with less, batches hold a row or two and it is slower.
MAX_BATCH_SIZE, MAX_BATCH_SECONDS = 64, 0.001


class OnnxModel(MLModel):  # type: ignore[misc]
    """One session with one thread, as the other servers have."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        self._output = self._session.get_outputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feeds = {each.name: NumpyCodec.decode_input(each) for each in payload.inputs}
        (values,) = self._session.run([self._output], feeds)
        output = NumpyCodec.encode_output(self._output, np.asarray(values))
        return InferenceResponse(model_name=self.name, outputs=[output])


async def serve(model_file: str, name: str) -> None:
    """Serves until it is killed."""
    ports = [_free_port() for _ in range(3)]
    settings = Settings(
        host="127.0.0.1", http_port=ports[0], grpc_port=ports[1], metrics_port=ports[2], parallel_workers=0
    )
    model = ModelSettings(
        name=name,
        implementation=OnnxModel,
        parameters=ModelParameters(uri=model_file),
        max_batch_size=MAX_BATCH_SIZE,
        max_batch_time=MAX_BATCH_SECONDS,
    )
    serving = asyncio.create_task(_start(settings, model))
    while not _is_open(ports[1]):
        if serving.done():
            break
        await asyncio.sleep(0.05)
    sys.stderr.write(f"ready address=127.0.0.1:{ports[1]}\n")
    sys.stderr.flush()
    await serving


async def _start(settings: Settings, model: ModelSettings) -> Any:
    return await MLServer(settings).start([model])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    # It tells stdout about itself at length.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
