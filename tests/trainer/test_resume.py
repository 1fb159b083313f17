"""A stopped run goes on as if nothing had happened, and what is on the disk is whole at any time."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conveyor_trainer.errors import RunError
from conveyor_trainer.run import load_run
from conveyor_trainer.train import train
from conveyor_trainer.weights import read_tensors
from tests.trainer.networks import TINY, accuracy_of, tiny_settings
from tests.trainer.stopping import metrics_without_timings, train_and_stop

EVERYTHING = """
base: default
held_out: 0.2
patience: 2
learning_rate: 0.02
precision: bf16
channels_last: true
gradient_clip: 1.0
augmentation: {rotation: 10, translation: 0.1, erasing: 0.3}
minimum_steps_per_epoch: 1
"""


@pytest.mark.parametrize(
    ("share", "recipe"), [(0.02, "article"), (0.5, "article"), (0.9, "article"), (0.7, "default"), (0.4, "all.yaml")]
)
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, share: float, recipe: str) -> None:
    if recipe == "all.yaml":
        (tmp_path / recipe).write_text(EVERYTHING)
        recipe = str(tmp_path / recipe)
    settings = tiny_settings(tmp_path, epochs=2, batch_size=32, recipe=recipe)
    whole = train(settings)
    stopped = settings.model_copy(update={"run": tmp_path / "stopped"})
    train_and_stop(stopped, share)
    with pytest.raises(RunError, match="unfinished"):
        load_run(stopped.run)
    resumed = train(stopped.model_copy(update={"resume": True}))
    assert resumed.digests.weights == whole.digests.weights
    assert metrics_without_timings(resumed.folder) == metrics_without_timings(whole.folder)


def test_early_stopping_counts_the_epochs_before_a_stop(tmp_path: Path) -> None:
    # At this rate nothing gets better: the first epochs are the best.
    settings = tiny_settings(tmp_path, epochs=30, batch_size=64, patience=3, learning_rate=0.5)
    whole = train(settings)
    epochs = len(metrics_without_timings(whole.folder))
    assert epochs == whole.report.best_epoch + 3
    assert epochs < 30
    stopped = settings.model_copy(update={"run": tmp_path / "stopped"})
    train_and_stop(stopped, (epochs - 0.5) / 30)
    resumed = train(stopped.model_copy(update={"resume": True}))
    assert resumed.digests.weights == whole.digests.weights
    assert resumed.report.best_epoch == whole.report.best_epoch
    assert metrics_without_timings(resumed.folder) == metrics_without_timings(whole.folder)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    command = "from conveyor_cli.main import main; raise SystemExit(main())"
    arguments = ["train", "tiny.yaml", "--data", "digits", "--run", "run", "--epochs", "500"]
    with subprocess.Popen(
        [sys.executable, "-c", command, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        checkpoint = tmp_path / "run" / "checkpoints" / "last.safetensors"
        deadline = time.monotonic() + 60
        while not checkpoint.exists() and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "go on with `conveyor train tiny.yaml --data digits --run run --epochs 500 --resume`" in error
    assert len(error.splitlines()) == 1


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """Writing beyond `size` bytes fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, epochs=2, batch_size=64)
    train_and_stop(settings, 0.3)
    path = settings.run / "checkpoints" / "last.safetensors"
    before = path.read_bytes()
    with (
        _files_of_at_most(len(before) // 2),
        pytest.raises(RunError, match="cannot write .* nothing that was there before is lost"),
    ):
        train(settings.model_copy(update={"resume": True}))
    assert path.read_bytes() == before
    assert not [name for name in os.listdir(path.parent) if name.startswith(".")]
    assert accuracy_of(train(settings.model_copy(update={"resume": True}))) > 0.5


def test_a_checkpoint_of_another_architecture(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, epochs=2, batch_size=64)
    train_and_stop(settings, 0.6)
    (tmp_path / "tiny.yaml").write_text(TINY.replace("filters: 8", "filters: 9"))
    with pytest.raises(RunError, match="belongs to another configuration, architecture or data"):
        train(settings.model_copy(update={"resume": True}))
    with pytest.raises(RunError, match=r"was started with batch_size 64 \(now 32\)"):
        train(settings.model_copy(update={"resume": True, "batch_size": 32}))


def test_a_checkpoint_holds_no_pickle(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, epochs=2, batch_size=64)
    train_and_stop(settings, 0.3)
    tensors, metadata = read_tensors(settings.run / "checkpoints" / "last.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"module", "optimizer"}
    assert set(metadata) == {"version", "run_key", "position"}
