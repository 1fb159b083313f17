"""What the commands print: checks, contracts and evaluations as plain lines, the same on a terminal and in a pipe."""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from conveyor.v1 import model_pb2
from conveyor_contract.contract import shape_of
from conveyor_exporter.comparison_table import comparison_lines
from conveyor_exporter.evaluate import EvaluationReport

if TYPE_CHECKING:
    from conveyor_contract.model_file import ModelFile
    from conveyor_exporter.evaluate import ValuesReport
    from conveyor_exporter.report import ExportReport

_WIDEST_MATRIX = 20  # labels


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Shows the present step on stderr while it is a terminal; gives the function to tell of a step."""
    with Console(stderr=True).status("starting") as status:
        yield status.update


def check_lines(checks: Iterable[model_pb2.Check]) -> list[str]:
    """A line a check: verdict, name, what was found."""
    listed = list(checks)
    width = max((len(check.name) for check in listed), default=0)
    return [f"  {'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.detail}" for check in listed]


def export_lines(report: ExportReport, path: object) -> list[str]:
    """What an export that went well has to say."""
    seconds = sum(report.seconds.values())
    return [
        f"{report.model_name} version {report.version}: {len(report.checks)} checks passed in {seconds:.1f} s",
        *check_lines(report.checks),
        *(
            ["precisions, measured in turns on one thread:", *comparison_lines(report.comparisons)]
            if report.comparisons
            else []
        ),
        f"{path}  ({report.file_bytes / 1000:.0f} kB, {report.file_digest[:19]})",
    ]


def evaluation_lines(report: EvaluationReport | ValuesReport, data: str, split: str) -> list[str]:
    """Accuracy, loss and the confusion matrix, where it is not too wide; of values, their errors."""
    rows = f"{report.count} rows of {data} ({split})"
    if isinstance(report, EvaluationReport):
        lines = [f"{report.accuracy:.2%} of {rows} right, loss {report.loss:.4f}"]
    else:
        errors = report.errors
        lines = [
            f"over {rows}: mean absolute error {errors.mae:.4g}, root mean squared error {errors.rmse:.4g}, "
            f"R2 {errors.r2:.4f}"
        ]
    if not report.same_data:
        lines.append("note: these are not the data that the model was made with")
    if isinstance(report, EvaluationReport) and len(report.labels) <= _WIDEST_MATRIX:
        lines += ["", "true class (down), answered class (across):", *_matrix_lines(report)]
    return lines


def _matrix_lines(report: EvaluationReport) -> list[str]:
    cells = [[str(count) for count in row] for row in report.confusion_matrix]
    name_width = max(len(label) for label in report.labels)
    width = max(len(text) for row in [report.labels, *cells] for text in row)
    header = " " * name_width + "".join(f"  {label:>{width}}" for label in report.labels)
    rows = [
        f"{label:<{name_width}}" + "".join(f"  {cell:>{width}}" for cell in row)
        for label, row in zip(report.labels, cells, strict=True)
    ]
    return [header, *rows]


def file_lines(file: ModelFile) -> list[str]:
    """A model file for a person: what it is, what it takes and gives, what was proved, where it comes from."""
    lines = [
        f"{file.path}  ({file.size / 1000:.0f} kB)",
        f"  file       {file.file_digest}",
        f"  ONNX       opset {file.opset}, IR version {file.ir_version}",
    ]
    if file.contract is None:
        other = ", ".join(sorted(file.metadata)) or "none"
        return [*lines, "  contract   none", f"  metadata   {other}"]
    golden = file.golden or model_pb2.GoldenSamples()
    kind = "synthetic" if golden.synthetic else "real"
    return [
        *lines,
        *_contract_lines(file.contract),
        f"  golden     {len(golden.samples)} {kind} samples",
        *_provenance_lines(file.contract.provenance),
        "",
        "checks",
        *check_lines(file.contract.evidence.checks),
    ]


def _contract_lines(contract: model_pb2.ModelContract) -> list[str]:
    task = model_pb2.Task.Name(contract.task).removeprefix("TASK_").lower()
    labels = ", ".join(contract.labels[:12]) + (", ..." if len(contract.labels) > 12 else "")
    buckets = ", ".join(str(bucket) for bucket in contract.batching.buckets)
    return [
        f"  model      {contract.model_name}: {task}, {contract.precision} on {contract.provider}, "
        f"contract schema {contract.schema_version}",
        *(f"  input      {_tensor(spec)}" for spec in contract.inputs),
        *(f"  output     {_tensor(spec)}" for spec in contract.outputs),
        f"  labels     {len(contract.labels)}: {labels}",
        *(_preprocessing_lines(contract.preprocessing) if contract.HasField("preprocessing") else []),
        f"  batches    up to {contract.batching.max_batch_size} rows; buckets {buckets}",
    ]


def _preprocessing_lines(message: model_pb2.Preprocessing) -> list[str]:
    mode = model_pb2.ColourMode.Name(message.colour_mode).removeprefix("COLOUR_MODE_").lower()
    resize = model_pb2.ResizeMode.Name(message.resize.mode).removeprefix("RESIZE_MODE_").lower().replace("_", " ")
    filter_name = model_pb2.ResizeFilter.Name(message.resize.filter).removeprefix("RESIZE_FILTER_").lower()
    mean = ", ".join(f"{value:.4g}" for value in message.in_graph.mean)
    deviation = ", ".join(f"{value:.4g}" for value in message.in_graph.standard_deviation)
    return [
        f"  image      {message.height} x {message.width} pixels, {mode}, {resize} with {filter_name}",
        f"  in graph   (pixel * {message.in_graph.scale:.6g} - [{mean}]) / [{deviation}]",
    ]


def _provenance_lines(provenance: model_pb2.Provenance) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(provenance.versions.items()))
    facts = [
        ("data", provenance.data_set and f"{provenance.data_set} {provenance.data_digest}"),
        ("split", provenance.data_set and f"seed {provenance.split_seed}"),
        ("weights", provenance.weights_digest),
        ("graph", provenance.model_digest),
        ("source", provenance.source_revision),
        ("made by", versions),
    ]
    return [f"  {name:<9}  {fact}" for name, fact in facts if fact]


def _tensor(spec: model_pb2.TensorSpec) -> str:
    meaning = model_pb2.Meaning.Name(spec.meaning).removeprefix("MEANING_").lower()
    return f"{spec.name} {spec.datatype} [{', '.join(str(size) for size in shape_of(spec))}] ({meaning})"
