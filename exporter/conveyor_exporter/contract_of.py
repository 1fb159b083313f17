"""From a proved candidate to its contract."""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

from conveyor.v1 import model_pb2
from conveyor_contract.contract import BATCH_AXIS, SCHEMA_VERSION, dimensions
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.onnx_graph import opset_of
from conveyor_exporter.precision.choice import Outcome
from conveyor_exporter.tool_versions import tool_versions


def contract_of(
    name: str, outcome: Outcome, description: ModelDescription, options: ExportOptions
) -> model_pb2.ModelContract:
    """Everything that a server or client must know; the model digest is filled in when the file is written."""
    candidate = outcome.candidate
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
        precision=candidate.precision,
        provider=candidate.provider,
        unproved=outcome.unproved,
        evidence=model_pb2.Evidence(checks=outcome.checks),
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
