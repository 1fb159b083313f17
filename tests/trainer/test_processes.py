"""Training in two processes, as `accelerate launch` starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conveyor_trainer.train import train
from tests.trainer.networks import TINY, tiny_settings
from tests.trainer.stopping import metrics_of

_EPOCHS, _BATCH = 3, 30  # the last batch of an epoch is smaller: shares of unequal size


def test_two_processes_are_as_good_as_one(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, epochs=_EPOCHS, batch_size=_BATCH)
    # Dropout draws other values in each process and batch norm sees half a batch: without them both trainings are
    # the same but for rounding.
    (tmp_path / "tiny.yaml").write_text(TINY.replace("  - batch_norm\n", "").replace("  - dropout: {rate: 0.1}\n", ""))
    one = train(settings)
    arguments = ["train", settings.architecture, "--data", "digits", "--run", "two", "--recipe", "article"]
    arguments += ["--epochs", str(_EPOCHS), "--batch-size", str(_BATCH), "--no-pictures", "--no-events"]
    # Not --cpu: with it, as without --multi_gpu where there is no GPU, accelerate starts a single process.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    done = subprocess.run(
        [*launch, "-m", "conveyor_cli", *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("of 359 test images right") == 1
    two = json.loads((tmp_path / "two" / "report.json").read_text())
    assert (one.report.machine["processes"], two["machine"]["processes"]) == ("1", "2")
    assert two["accuracy"] == pytest.approx(one.report.accuracy, abs=0.003)
    for ours, theirs in zip(metrics_of(one.folder), metrics_of(tmp_path / "two"), strict=True):
        assert ours["steps"] == theirs["steps"]
        assert float(theirs["train_accuracy"]) == pytest.approx(float(ours["train_accuracy"]), abs=0.003)
        assert float(theirs["validation_loss"]) == pytest.approx(float(ours["validation_loss"]), rel=0.01)
