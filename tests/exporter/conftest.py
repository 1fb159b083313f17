"""What the exporter's tests share: small descriptions with seeded data, and one exported model."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from torch import nn

from conveyor_exporter.checks.candidate import Proof
from conveyor_exporter.checks.registry import check_proof
from conveyor_exporter.convert import Conversion, convert
from conveyor_exporter.description import ExportOptions, LabelledRows, ModelDescription
from conveyor_exporter.exporting import export
from conveyor_exporter.from_module import prepare_proof
from conveyor_exporter.model_input import image_input
from conveyor_exporter.publishing import ExportResult
from conveyor_exporter.reference import TorchReference, detached_copy
from tests.exporter.networks import OUTPUTS, colour, plain

LABELS = ("ant", "bee", "cat")
SMALL = ExportOptions(max_batch_size=8)


def describe(shape: tuple[int, int, int] = (1, 8, 8), rows: int = 40) -> ModelDescription:
    """Seeded noise as the test split; normalised, with labels."""
    generator = np.random.default_rng(3)
    channels, height, width = shape
    return ModelDescription(
        input=image_input(shape, mean=(0.4,) * channels, standard_deviation=(0.3,) * channels),
        labels=LABELS,
        test=LabelledRows(
            rows=generator.integers(0, 256, (rows, height, width, channels), dtype=np.uint8),
            targets=generator.integers(0, OUTPUTS, rows),
        ),
    )


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """The plain network, exported; not to be changed."""
    return export(plain(), describe(), tmp_path_factory.mktemp("models"), "plain", options=SMALL)


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A network with its graph, from which tests make proofs, altering one thing each."""

    network: nn.Module
    conversion: Conversion

    def proof(
        self, description: ModelDescription | None = None, alter: Callable[[onnx.ModelProto], None] | None = None
    ) -> Proof:
        """A proof of this network with another description, or with its graph altered."""
        graph = onnx.load_from_string(self.conversion.model)
        if alter is not None:
            alter(graph)
        conversion = replace(self.conversion, model=graph.SerializeToString())
        reference = TorchReference(network=self.network, description=description or describe())
        return prepare_proof(conversion, reference, OUTPUTS, SMALL)


@pytest.fixture(scope="session")
def converted() -> Converted:
    """The plain network and its graph."""
    network = detached_copy(plain())
    return Converted(network=network, conversion=convert(network, describe(), SMALL))


@pytest.fixture(scope="session")
def converted_colour() -> Converted:
    """The network for colour images and its graph."""
    network = detached_copy(colour())
    return Converted(network=network, conversion=convert(network, describe((3, 8, 8)), SMALL))


def failures(proof: Proof) -> dict[str, str]:
    """Name and detail of each check that fails, in order."""
    return {check.name: check.detail for check in check_proof(proof, lambda _: None) if not check.ok}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "models"
