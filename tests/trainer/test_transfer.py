"""Transfer learning: trained weights to begin with, the head anew, the backbone frozen for a while."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from conveyor_cli.main import main
from conveyor_trainer.errors import RunError
from conveyor_trainer.run import Run
from conveyor_trainer.scaled_values import ScaledNetwork, ValueScale
from conveyor_trainer.train import train
from conveyor_trainer.transfer import Backbone, find_head, take_weights
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
    assert not settings.run.exists()


def test_no_weights_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no weights to begin with"):
        train(tiny_settings(tmp_path, init_from=tmp_path / "absent"))


def test_what_comes_after_the_head_is_anew_too(tmp_path: Path) -> None:
    def network(outputs: int) -> nn.Sequential:
        after = nn.BatchNorm1d(outputs, affine=False)
        return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, outputs), after, nn.Dropout(0.1))

    source, target = network(2), network(5)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    head = find_head(target, (4,))
    assert (head.name, set(head.after)) == ("2", {"3"})
    take_weights(target, tmp_path / "weights.safetensors", head)
    assert torch.equal(target.get_parameter("0.weight"), source.get_parameter("0.weight"))
    backbone = Backbone(target, head)
    backbone.freeze(True)
    assert [layer.training for layer in target] == [False, False, True, False, False]
    assert [name for name, parameter in target.named_parameters() if parameter.requires_grad] == ["2.weight", "2.bias"]
    backbone.freeze(False)
    assert all(parameter.requires_grad for parameter in target.parameters())
    assert all(layer.training for layer in target)


class HeadFirst(nn.Module):
    """Defines its head before the layer that runs before it."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, outputs)
        self.body = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))  # type: ignore[no-any-return]  # torch's own modules are untyped


def test_the_head_is_the_layer_that_runs_last(tmp_path: Path) -> None:
    source, target = HeadFirst(2), HeadFirst(2)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    head = find_head(target, (4,))
    assert head.name == "head"
    take_weights(target, tmp_path / "weights.safetensors", head)
    assert torch.equal(target.body.weight, source.body.weight)
    assert not torch.equal(target.head.weight, source.head.weight)


def test_what_the_user_froze_stays_frozen() -> None:
    module = HeadFirst(2)
    module.body.bias.requires_grad_(False)
    backbone = Backbone(module, find_head(module, (4,)))
    backbone.freeze(True)
    backbone.freeze(False)
    assert module.body.weight.requires_grad
    assert not module.body.bias.requires_grad


def test_weights_of_a_network_whose_values_are_scaled(tmp_path: Path) -> None:
    source, target = ScaledNetwork(HeadFirst(1), ValueScale(1)), HeadFirst(3)
    for one, other in ((source, target), (target, source)):
        save_file(one.state_dict(), tmp_path / "weights.safetensors")
        take_weights(other, tmp_path / "weights.safetensors", find_head(other, (4,)))
        assert torch.equal(source.network.get_parameter("body.weight"), target.body.weight)
        nn.init.zeros_(target.body.weight)


def test_a_network_without_a_layer_that_runs() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.head.weight.T

    with pytest.raises(RunError, match="no layer with weights of its own that runs"):
        find_head(Around(), (4,))


def test_the_command_names_the_head(trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tiny_settings(tmp_path, batch_size=512)
    command = ["train", str(settings.architecture), "--data", "digits", "--run", str(settings.run), "--epochs", "1"]
    command += ["--recipe", "article", "--no-pictures", "--no-events"]
    assert main([*command, "--init-from", str(trained.folder), "--freeze-epochs", "1"]) == 0
    assert f"head: dense_1 is made anew, the rest begins with {trained.folder}" in capsys.readouterr().out
    assert main([*command, "--freeze-epochs", "1"]) == 2
    assert "--freeze-epochs goes with --init-from" in capsys.readouterr().err
