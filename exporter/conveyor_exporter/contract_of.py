"""From a proved candidate to its contract."""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

import importlib.metadata
from collections.abc import Sequence

from conveyor.v1 import model_pb2
from conveyor_contract.contract import BATCH_AXIS, SCHEMA_VERSION, dimensions
from conveyor_exporter.checks.candidate import Candidate
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.onnx_graph import opset_of
from conveyor_exporter.session import CPU_PROVIDER, runtime_version

PACKAGES = ("conveyor", "numpy", "onnx", "onnxscript", "pillow", "torch")


def contract_of(
    name: str,
    candidate: Candidate,
    description: ModelDescription,
    options: ExportOptions,
    checks: Sequence[model_pb2.Check],
) -> model_pb2.ModelContract:
    """Everything that a server or client must know; the model digest is filled in when the file is written."""
    provenance = model_pb2.Provenance()
    provenance.CopyFrom(description.provenance)
    provenance.opset, provenance.ir_version = opset_of(candidate.graph), candidate.graph.ir_version
    provenance.versions.update(tool_versions())
    return model_pb2.ModelContract(
        schema_version=SCHEMA_VERSION,
        model_name=name,
        task=description.task,
        labels=candidate.labels if description.is_classification else (),
        inputs=[candidate.input],
        outputs=[candidate.output],
        preprocessing=description.input.preprocessing(),
        batching=model_pb2.Batching(max_batch_size=options.max_batch_size, buckets=options.buckets),
        precision="fp32",
        provider=CPU_PROVIDER,
        evidence=model_pb2.Evidence(checks=checks),
        provenance=provenance,
        training_statistics=description.statistics,
    )


def output_spec(description: ModelDescription, outputs: int) -> model_pb2.TensorSpec:
    """What the exported graph must declare as its output."""
    return model_pb2.TensorSpec(
        name=description.output_name,
        datatype="FP32",
        shape=dimensions(BATCH_AXIS, outputs),
        layout=model_pb2.LAYOUT_NC,
        meaning=description.output_meaning,
    )


def tool_versions() -> dict[str, str]:
    """Versions of the packages that made the file, without a build's own suffix (2.13.0+cpu is 2.13.0)."""
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    versions["onnxruntime"] = runtime_version()
    return {package: version.partition("+")[0] for package, version in versions.items()}
