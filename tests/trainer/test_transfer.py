"""Transfer learning: trained weights to begin with, the head anew, the backbone frozen for a while."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from conveyor_trainer.errors import RunError
from conveyor_trainer.run import Run
from conveyor_trainer.train import train
from conveyor_trainer.transfer import freeze_backbone, head_name, take_weights
from conveyor_trainer.weights import read_tensors
from tests.trainer.networks import TINY, accuracy_of, tiny_settings


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny_settings(tmp_path_factory.mktemp("trained"), epochs=2))


def test_a_frozen_backbone_keeps_the_weights_that_it_began_with(trained: Run, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, init_from=trained.folder, freeze_epochs=1, batch_size=32)
    before, _ = read_tensors(trained.folder / "weights.safetensors")
    after = train(settings).load_module().state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"dense_1"}


def test_after_the_frozen_epochs_everything_learns(trained: Run, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, init_from=trained.folder, freeze_epochs=1, epochs=2, batch_size=32)
    before, _ = read_tensors(trained.folder / "weights.safetensors")
    run = train(settings)
    after = run.load_module().state_dict()
    assert not [name for name in before if torch.equal(before[name], after[name])]
    assert accuracy_of(run) > 0.9
    assert run.config.init_digest == trained.digests.weights


def test_a_trained_start_is_a_better_start(trained: Run, tmp_path: Path) -> None:
    short = {"batch_size": 256, "learning_rate": 0.003}
    fresh = train(tiny_settings(tmp_path, **short))
    weights = trained.folder / "weights.safetensors"
    warm = train(tiny_settings(tmp_path, init_from=weights, run=tmp_path / "warm", **short))
    assert accuracy_of(warm) > accuracy_of(fresh)
    assert warm.digests.configuration != fresh.digests.configuration


def test_weights_of_another_architecture(trained: Run, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, init_from=trained.folder)
    (tmp_path / "tiny.yaml").write_text(TINY.replace("filters: 8", "filters: 9"))
    with pytest.raises(RunError, match=r"conv2d_1.weight has the shape \(8, 1, 3, 3\) there and \(9, 1, 3, 3\) here"):
        train(settings)
    assert not (settings.run / "checkpoints" / "best.safetensors").exists()


def test_no_weights_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no weights to begin with"):
        train(tiny_settings(tmp_path, init_from=tmp_path / "absent"))


def test_what_comes_after_the_head_is_anew_too(tmp_path: Path) -> None:
    def network(outputs: int) -> torch.nn.Sequential:
        layers = [torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, outputs), torch.nn.Dropout(0.1)]
        return torch.nn.Sequential(*layers)

    source, target = network(2), network(5)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    take_weights(target, tmp_path / "weights.safetensors")
    assert torch.equal(target.get_parameter("0.weight"), source.get_parameter("0.weight"))
    assert head_name(target) == "2"
    freeze_backbone(target, frozen=True)
    assert [layer.training for layer in target] == [False, False, True, False]
    assert [name for name, parameter in target.named_parameters() if parameter.requires_grad] == ["2.weight", "2.bias"]
    freeze_backbone(target, frozen=False)
    assert all(parameter.requires_grad for parameter in target.parameters())
    assert all(layer.training for layer in target)
