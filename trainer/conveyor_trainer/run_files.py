"""The text files of a run folder: written one by one, each whole, and read back with clear errors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import yaml
from pydantic import ValidationError

from conveyor_trainer.architecture_file import read_architecture
from conveyor_trainer.config import RunConfig
from conveyor_trainer.errors import RunError, TrainerError
from conveyor_trainer.network import Network
from conveyor_trainer.report import Digests, RunReport
from conveyor_trainer.user_module import UserModule

CONFIG_FILE = "config.yaml"
ARCHITECTURE_FILE = "architecture.yaml"
WEIGHTS_FILE = "weights.safetensors"
METRICS_FILE = "metrics.csv"
REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
CHECKPOINT_FOLDER = "checkpoints"
PICTURE_FOLDER = "pictures"
EVENT_FOLDER = "tensorboard"


def configuration_digest(config: RunConfig) -> str:
    """ "sha256:<hex>" of everything that decides the weights; paths are left out."""
    content = config.model_dump(mode="json", exclude={"data_dir", "architecture", "module", "init_from"})
    return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def config_text(config: RunConfig) -> str:
    """What config.yaml holds."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def report_text(report: RunReport) -> str:
    """What report.json holds. Raises TrainerError where a figure is no number, which JSON cannot say."""
    try:
        return json.dumps(report.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"
    except ValueError as error:
        raise TrainerError(
            "a figure of the test split is infinite or no number, so there is no report: the network answers with "
            "values that are too large; train with a lower learning rate"
        ) from error


def read_config(folder: Path) -> RunConfig:
    """Raises RunError when the folder holds no run, or a damaged one."""
    path = folder / CONFIG_FILE
    try:
        return RunConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise RunError(f"{folder} holds no run: it has no {CONFIG_FILE}; `conveyor train` makes one") from error
    except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise RunError(f"cannot read {path}: {error}") from error


def read_run_files(folder: Path) -> tuple[RunConfig, Network, RunReport]:
    """Configuration, network and report of a finished run. Raises RunError."""
    config = read_config(folder)
    path = folder / REPORT_FILE
    try:
        report = RunReport.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(
            f"the run in {folder} is unfinished: it has no {REPORT_FILE}; go on with `conveyor train ... --resume`"
        ) from error
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise RunError(f"cannot read {path}: {error}") from error
    return config, _network(folder, config, report), report


def check_unchanged(folder: Path, network: Network, digests: Digests) -> None:
    """Raises RunError when the network is not the one that was trained: other layers, or other code of the user's."""
    if network.digest() == digests.architecture:
        return
    if isinstance(network, UserModule):
        raise RunError(
            f"{network.reference} is not the network that {folder} was trained with: its layers or the text of its "
            "file have changed since; bring that file back as it was, or train again"
        )
    raise RunError(
        f"{folder / ARCHITECTURE_FILE} is not the architecture that the run was trained with: the file was changed; "
        "bring it back as it was, or train again"
    )


def _network(folder: Path, config: RunConfig, report: RunReport) -> Network:
    if config.module is None or config.module_input is None:
        architecture = read_architecture(folder / ARCHITECTURE_FILE)
        # Here already: the data are read by what it says. A module's code is looked at once it is needed.
        check_unchanged(folder, architecture, report.digests)
        return architecture
    outputs = len(report.labels) or len(report.normalisation.value_mean)
    return UserModule(
        reference=config.module, input_shape=config.module_input, task=config.module_task, outputs=outputs
    )
