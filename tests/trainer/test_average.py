"""The running average of the weights leaves alone what has no mean."""

import torch
from torch import Tensor, nn

from conveyor_trainer.learner import Learner
from conveyor_trainer.recipe import Recipe


class Backwards(nn.Module):
    """Reads its input from the end, by an index, with a mask and a count of its calls."""

    index: Tensor
    mask: Tensor
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("index", torch.arange(63, -1, -1))
        self.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))
        self.register_buffer("calls", torch.tensor(0))
        self.norm = nn.BatchNorm1d(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return self.head(self.norm(x[:, self.index]))  # type: ignore[no-any-return]  # torch's own modules are untyped


def test_indices_masks_and_counts_are_copied_and_weights_averaged() -> None:
    torch.manual_seed(0)
    module = Backwards()
    learner = Learner(module, Recipe(ema_decay=0.9, learning_rate=0.1))
    before = module.head.weight.detach().clone()
    for step in range(1, 31):
        learner.optimizer.zero_grad()
        module(torch.randn(8, 64)).square().mean().backward()
        learner.optimizer.step()
        learner.average_weights(step)
        if step == 1:
            assert torch.equal(learner.kept.get_parameter("head.weight"), module.head.weight)
    kept = learner.kept.state_dict()
    assert kept["index"].tolist() == list(range(63, -1, -1))
    assert torch.equal(kept["mask"], module.mask)
    assert kept["calls"] == kept["norm.num_batches_tracked"] == 30
    for name, present in (("head.weight", module.head.weight), ("norm.running_mean", module.norm.running_mean)):
        assert present is not None
        assert kept[name].isfinite().all()
        assert not torch.equal(kept[name], present)
    assert (kept["head.weight"] - before).norm() < (module.head.weight - before).norm()


def test_the_averages_come_back_from_a_checkpoint() -> None:
    module = Backwards()
    learner = Learner(module, Recipe(ema_decay=0.9))
    learner.average_weights(1)
    with torch.no_grad():
        module.head.weight.add_(1)
    learner.average_weights(2)
    other = Learner(Backwards(), Recipe(ema_decay=0.9))
    other.load_tensors(learner.tensors())
    for name, tensor in learner.kept.state_dict().items():
        assert torch.equal(other.kept.state_dict()[name], tensor), name
