"""Small networks for the exporter's tests: sound ones of several kinds, and ones broken in one way each.

All take 1 x 8 x 8 images unless their entry says otherwise, and give three outputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS, OUTPUTS = 4, 3
FEATURES = CHANNELS * 6 * 6

Forward = Callable[["Network", Tensor], Tensor]


class Network(nn.Module):
    """Convolution, batch norm, ReLU; what comes then is the forward function that it is given."""

    def __init__(self, forward: Forward, channels: int = 1) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.conv = nn.Conv2d(channels, CHANNELS, 3)
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.head = nn.Linear(FEATURES, OUTPUTS)
        self.rest = forward
        # Statistics as after training: without them a folded batch norm would look like none at all.
        nn.init.uniform_(self.norm.running_mean, -0.5, 0.5)  # type: ignore[arg-type]  # a buffer that exists here
        nn.init.uniform_(self.norm.running_var, 0.5, 2.0)  # type: ignore[arg-type]

    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self, x)


def flat(net: Network, x: Tensor) -> Tensor:
    return net.features(x).flatten(1)


class Residual(nn.Module):
    """Two residual blocks and global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(8)
        self.stem = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.first = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(CHANNELS, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.first(x)
        x = F.relu(x + self.second(x))
        return self.head(torch.flatten(self.pool(x), 1))  # type: ignore[no-any-return]  # torch's own modules are untyped


def depthwise() -> nn.Module:
    torch.manual_seed(9)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False),
        nn.BatchNorm2d(6),
        nn.Hardswish(),
        nn.Conv2d(6, CHANNELS, 1),
        nn.MaxPool2d(2),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(CHANNELS * 16, OUTPUTS),
    )


def plain() -> nn.Module:
    """The smallest sound network: quick to export."""
    torch.manual_seed(10)
    return nn.Sequential(
        nn.Conv2d(1, CHANNELS, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(CHANNELS * 9, OUTPUTS)
    )


def colour() -> nn.Module:
    """Plain, for RGB images of 8 x 8."""
    torch.manual_seed(11)
    return nn.Sequential(nn.Conv2d(3, CHANNELS, 3), nn.ReLU(), nn.Flatten(), nn.Linear(FEATURES, OUTPUTS))


def signal(outputs: int = OUTPUTS) -> nn.Module:
    """For signals of 2 channels and 16 values."""
    torch.manual_seed(12)
    return nn.Sequential(nn.Conv1d(2, CHANNELS, 3), nn.ReLU(), nn.Flatten(), nn.Linear(CHANNELS * 14, outputs))


SOUND_FLATTENS: dict[str, Forward] = {
    "view of shape[0]": lambda net, x: net.head(net.features(x).view(x.shape[0], -1)),
    "view of -1": lambda net, x: net.head(net.features(x).view(-1, FEATURES)),
    "reshape of size(0)": lambda net, x: net.head(net.features(x).reshape(x.size(0), FEATURES)),
}


def _by_rows(net: Network, x: Tensor) -> Tensor:
    return torch.cat([net.head(flat(net, row.unsqueeze(0))) for row in x])


def _large_batches_differ(net: Network, x: Tensor) -> Tensor:
    answers = net.head(flat(net, x))
    return answers * 2 if x.shape[0] > 4 else answers  # type: ignore[no-any-return]


def _branch_on_data(net: Network, x: Tensor) -> Tensor:
    answers = net.head(flat(net, x))
    return answers * 2 if x.sum() > 0 else answers  # type: ignore[no-any-return]


def _batch_statistics(net: Network, x: Tensor) -> Tensor:
    return net.head(F.relu(F.batch_norm(net.conv(x), None, None, training=True)).flatten(1))  # type: ignore[no-any-return]


def _log_of_dark(net: Network, x: Tensor) -> Tensor:
    # Black pixels are 0 before the first layer: their logarithm is minus infinity.
    return net.head(flat(net, x)) + x.amax(dim=(1, 2, 3), keepdim=False).log().unsqueeze(1)  # type: ignore[no-any-return]


def _state(net: Network, x: Tensor) -> Tensor:
    net.norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]  # a buffer that exists here
    return net.head(flat(net, x)) * net.norm.num_batches_tracked  # type: ignore[no-any-return]


def _rows_of_nonzero(net: Network, x: Tensor) -> Tensor:
    lit = x.flatten(1).sum(dim=1).nonzero().squeeze(1)
    return net.head(flat(net, x))[lit]  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A forward that must be refused: by which check, with which word in the message."""

    forward: Forward
    check: str
    word: str


def _broken(forward: Any, check: str, word: str) -> Broken:
    return Broken(forward=forward, check=check, word=word)


BROKEN: dict[str, Broken] = {
    # A batch size that is baked in.
    "view(2, -1)": _broken(lambda net, x: net.head(net.features(x).view(2, -1)), "batch_axis", "networks.py"),
    "view(len(x), -1)": _broken(lambda net, x: net.head(net.features(x).view(len(x), -1)), "batch_axis", "networks.py"),
    "view(int(size), -1)": _broken(
        lambda net, x: net.head(net.features(x).view(int(x.size(0)), -1)), "batch_axis", "networks.py"
    ),
    "reshape(8, -1) and back": _broken(
        lambda net, x: net.head(net.features(x).reshape(8, -1).reshape(2, -1)), "batch_axis", "networks.py"
    ),
    "ones(2, 3) added": _broken(
        lambda net, x: net.head(flat(net, x)) + torch.ones(2, OUTPUTS), "batch_axis", "networks.py"
    ),
    "loop over rows": _broken(_by_rows, "batch_axis", "networks.py"),
    "branch on the batch size": _broken(_large_batches_differ, "batch_axis", "some batch sizes"),
    # Control flow and operators.
    "branch on the data": _broken(_branch_on_data, "control_flow", "torch.where"),
    "a number taken out of the data": _broken(
        lambda net, x: net.head(flat(net, x)) * max(1.0, float(x.max())), "control_flow", "networks.py"
    ),
    "as many rows as are lit": _broken(_rows_of_nonzero, "declared_axes", "one answer per row"),
    "operator without ONNX form": _broken(
        lambda net, x: net.head(torch.linalg.qr(flat(net, x).unsqueeze(2))[0].squeeze(2)), "operators", "linalg_qr"
    ),
    # Left in training, random, stateful.
    "functional dropout": _broken(lambda net, x: net.head(F.dropout(flat(net, x), 0.5)), "train_mode", "self.training"),
    "noise added": _broken(
        lambda net, x: net.head(flat(net, x)) + torch.rand_like(x[:, 0, 0, :3]), "randomness", "Random"
    ),
    "state kept between calls": _broken(_state, "reference_determinism", "keeps state"),
    # Rows that look at their neighbours.
    "mean over the batch": _broken(
        lambda net, x: net.head(flat(net, x) - flat(net, x).mean(dim=0)), "batch_invariance", "neighbours"
    ),
    "cumulative sum over rows": _broken(
        lambda net, x: net.head(flat(net, x)).cumsum(dim=0), "batch_invariance", "neighbours"
    ),
    "batch statistics": _broken(_batch_statistics, "batch_invariance", "BatchNorm"),
    # Wrong answers.
    "softmax inside": _broken(lambda net, x: net.head(flat(net, x)).softmax(dim=1), "single_softmax", "2 times"),
    "log of zero": _broken(_log_of_dark, "finite", "NaN or infinity"),
    # Nothing that can be served.
    "a tuple returned": _broken(lambda net, x: (net.head(flat(net, x)), x), "forward", "tuple"),
    "a feature map returned": _broken(lambda net, x: net.features(x), "forward", "one value per label"),
    "labels returned": _broken(lambda net, x: net.head(flat(net, x)).argmax(dim=1), "forward", "one value per label"),
    "double precision returned": _broken(lambda net, x: net.head(flat(net, x)).double(), "forward", "torch.float64"),
    "one answer for all rows": _broken(
        lambda net, x: net.head(flat(net, x)).mean(dim=0, keepdim=True), "forward", "2 rows"
    ),
    "another input size": _broken(
        lambda net, x: net.head(net.features(x[:, :, 1:]).flatten(1)), "forward", "input's size"
    ),
    "an error of its own": _broken(lambda net, x: net.missing(x), "forward", "AttributeError"),
}


class TwoInputs(nn.Module):
    """Takes an image and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, OUTPUTS)

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        return self.head(x.flatten(1)) + age  # type: ignore[no-any-return]


class BatchNormWithoutMemory(nn.Module):
    """Batch statistics at every call, also in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, track_running_stats=False)
        self.head = nn.Linear(64, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(x).flatten(1))  # type: ignore[no-any-return]


# Networks of their own: (make, check, word).
BROKEN_MODULES: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "two inputs": (TwoInputs, "forward", "forward takes one tensor"),
    "batch norm without memory": (BatchNormWithoutMemory, "batch_invariance", "track_running_stats=False"),
}


class InvertedResidual(nn.Module):
    """Widen, convolve by depth, squeeze and excite, narrow, add: as in timm's EfficientNet family."""

    def __init__(self, channels: int, expansion: int = 2) -> None:
        super().__init__()
        wide = channels * expansion
        self.widen = nn.Sequential(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.SiLU())
        self.depth = nn.Sequential(
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.SiLU()
        )
        self.squeeze = nn.Sequential(
            nn.Conv2d(wide, channels, 1), nn.SiLU(), nn.Conv2d(channels, wide, 1), nn.Sigmoid()
        )
        self.narrow = nn.Sequential(nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.drop_path = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.depth(self.widen(x))
        wide = wide * self.squeeze(wide.mean((2, 3), keepdim=True))
        return x + self.drop_path(self.narrow(wide))  # type: ignore[no-any-return]


class TimmStyle(nn.Module):
    """Stem, stages, global pooling, classifier, with timm's split into forward_features and forward_head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(13)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.SiLU())
        self.blocks = nn.ModuleList([InvertedResidual(8), InvertedResidual(8)])
        self.head_drop = nn.Dropout(0.2)
        self.classifier = nn.Linear(8, OUTPUTS)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x

    def forward_head(self, x: Tensor) -> Tensor:
        return self.classifier(self.head_drop(x.mean((2, 3))))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def pooled(channels: int, outputs: int = OUTPUTS) -> nn.Module:
    """For images of any size: strided convolutions and global pooling."""
    torch.manual_seed(14)
    return nn.Sequential(
        nn.Conv2d(channels, CHANNELS, 7, stride=4),
        nn.ReLU(),
        nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS, outputs),
    )
