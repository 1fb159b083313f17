"""From a network to a proof that can be checked: a copy of the network, its graph, and its own answers. Needs torch."""

import onnx
from torch import nn

from conveyor_contract.contract import row_shape_of
from conveyor_exporter.checks.candidate import Candidate, Proof
from conveyor_exporter.contract_of import output_spec
from conveyor_exporter.convert import Conversion, convert, example_rows
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.reference import TorchReference, detached_copy, probe


def proof_of_module(module: nn.Module, description: ModelDescription, options: ExportOptions) -> Proof:
    """Converts a copy of the network. Raises ConversionError naming what in it prevents that, or ExportError."""
    network = detached_copy(module)
    outputs = probe(network, description, example_rows(description))
    description.check_outputs(outputs)
    conversion = convert(network, description, options)
    return prepare_proof(conversion, TorchReference(network=network, description=description), outputs, options)


def prepare_proof(conversion: Conversion, reference: TorchReference, outputs: int, options: ExportOptions) -> Proof:
    """A converted model beside its network, ready for the checks."""
    description = reference.description
    candidate = Candidate(
        graph=onnx.load_from_string(conversion.model),
        source=conversion.model,
        input=description.input.spec(),
        output=output_spec(description, outputs),
        labels=description.labels or tuple(str(index) for index in range(outputs)),
        batch_sizes=options.batch_sizes,
        row_shape=row_shape_of(description.input.spec()),
        opset=options.opset,
    )
    return Proof(
        candidate=candidate,
        layer_outputs=conversion.layer_outputs,
        reference=reference,
        test=description.test,
        golden_rows=description.golden_rows(options.golden),
    )
