"""An ONNX Runtime session on the provider that was asked for, and on no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_contract.contract import row_shape_of
from conveyor_server.arena import Arena
from conveyor_server.batch import Rows, bucket_for, pad
from conveyor_server.bound_runs import BoundRuns, BoundTensor, Place
from conveyor_server.datatypes import DATATYPES
from conveyor_server.errors import LoadError, ProviderError
from conveyor_server.providers import (
    NO_OPTIONS,
    OF_FIXED_SIZES,
    ON_NVIDIA,
    DeviceOptions,
    load_runtime,
    providers_to_ask_for,
)


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """How a session runs: its provider, and the threads inside one operator."""

    provider: str
    intra_op_threads: int
    device: DeviceOptions = NO_OPTIONS
    # Libraries of operators that ONNX Runtime does not have.
    custom_operators: Sequence[Path] = ()


class Session:
    """A model's graph, ready to run. Belongs to one thread at a time."""

    def __init__(self, path: Path, contract: model_pb2.ModelContract, options: SessionOptions) -> None:
        """Opens the file. Raises LoadError when the graph is not what the contract says, or cannot be loaded."""
        self._session = open_session(path, options)
        self._arena = Arena(options.provider)
        self._input = contract.inputs[0]
        self._output_names = [contract.outputs[0].name]
        self._check_graph(contract)
        self._buckets: Sequence[int] = list(contract.batching.buckets) if options.provider in OF_FIXED_SIZES else ()
        self._bound = self._bind(contract, options) if options.provider in ON_NVIDIA else None

    def run(self, rows: Rows) -> Rows:
        """Rows of the model's input to as many rows of float32 output."""
        if self._bound is not None:
            return self._bound.run(rows)
        size = len(rows)
        if self._buckets:
            rows = pad(rows, bucket_for(size, self._buckets))
        giving_back = self._arena.options_for(rows.nbytes)
        output: Rows = self._session.run(self._output_names, {self._input.name: rows}, giving_back)[0]
        return output[:size]

    def warm(self, sizes: Sequence[int]) -> None:
        """Runs zeros at each batch size, so that no caller pays for a first time."""
        if self._bound is not None:
            self._bound.warm(sizes)
            return
        for size in sizes:
            self.run(np.zeros((size, *row_shape_of(self._input)), DATATYPES[self._input.datatype].dtype))

    def _bind(self, contract: model_pb2.ModelContract, options: SessionOptions) -> BoundRuns:
        given, taken = (
            BoundTensor(name=spec.name, row_shape=row_shape_of(spec), dtype=np.dtype(DATATYPES[spec.datatype].dtype))
            for spec in (contract.inputs[0], contract.outputs[0])
        )
        place = Place(device="cuda", device_id=options.device.device_id, graphs=options.device.graphs)
        return BoundRuns(self._session, given, taken, self._buckets, place)

    def _check_graph(self, contract: model_pb2.ModelContract) -> None:
        _check_tensors("inputs", self._session.get_inputs(), contract.inputs)
        _check_tensors("outputs", self._session.get_outputs(), contract.outputs)


def open_session(path: Path, options: SessionOptions) -> Any:
    """ONNX Runtime's own session. Raises LoadError, or ProviderError when it would run on another provider."""
    runtime = load_runtime()
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = options.intra_op_threads
    settings.inter_op_num_threads = 1
    # Idle threads that spin take the CPU from the event loop.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        for library in options.custom_operators:
            settings.register_custom_ops_library(str(library))
        asked = providers_to_ask_for(options.provider, options.device)
        session = runtime.InferenceSession(path, settings, providers=asked)
    except Exception as error:  # ONNX Runtime's errors share no public class
        raise LoadError(f"{path}: ONNX Runtime cannot load it ({' '.join(str(error).split())[:300]}).") from error
    if session.get_providers()[0] != options.provider:
        raise ProviderError(f"{path}: it would run on {session.get_providers()[0]}, not on {options.provider}.")
    return session


def _check_tensors(kind: str, nodes: Sequence[Any], specs: Sequence[model_pb2.TensorSpec]) -> None:
    found = {node.name: (node.type, tuple(node.shape[1:])) for node in nodes}
    stated = {spec.name: (DATATYPES[spec.datatype].onnx, row_shape_of(spec)) for spec in specs}
    if found != stated:
        raise LoadError(f"the graph's {kind} are {found}, and its contract says {stated}; export the model again.")
    fixed = [node.name for node in nodes if isinstance(node.shape[0], int)]
    if fixed:
        raise LoadError(f"the graph's {kind} {fixed} have a fixed batch axis; export the model again.")
