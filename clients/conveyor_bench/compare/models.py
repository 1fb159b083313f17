"""The models that are measured: the demonstration's, and the same network fed with float32 tensors."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from conveyor_bench.server_process import conveyor_command
from conveyor_client import ConveyorClientError

REPOSITORY, RUN, MODEL = Path("demo/models"), Path("demo/run"), "digits"
FLOAT_MODEL = "digits_float32"


def gather_models(repository: Path) -> tuple[Path, Path]:
    """Puts both models into the repository; their files, uint8 first. Trains the model where there is none."""
    if not any((REPOSITORY / MODEL).glob("*/model.onnx")):
        options = ["--data", "digits", "--run", str(RUN), "--export", str(REPOSITORY), "--name", MODEL]
        if subprocess.run(conveyor_command("train", "mnist_cnn", *options), check=False).returncode != 0:
            raise ConveyorClientError("there is no model to measure; `make demo` makes one and says what is wrong")
    newest = max((REPOSITORY / MODEL).glob("*/model.onnx"), key=lambda each: int(each.parent.name))
    targets = [repository / name / "1" / "model.onnx" for name in (MODEL, FLOAT_MODEL)]
    for target in targets:
        target.parent.mkdir(parents=True)
    shutil.copyfile(newest, targets[0])
    cut_head(newest, targets[1])
    return targets[0], targets[1]


def cut_head(source: Path, target: Path) -> None:
    """The graph from its first convolution on: without contract, fed with what normalisation gives, float32 NCHW."""
    # Only this needs the package, which the exporter brings.
    import onnx
    from onnx.utils import extract_model

    graph = onnx.load(source).graph
    first = next(node for node in graph.node if node.op_type == "Conv")
    extract_model(source, target, [first.input[0]], [each.name for each in graph.output])
