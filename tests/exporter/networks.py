"""Small networks for the exporter's tests: sound ones of several kinds, and ones broken in one way each.

All take 1 x 8 x 8 images unless their entry says otherwise, and give three outputs.
"""

from collections.abc import Callable

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


# name -> (forward, the check that must refuse it, a word that its message must hold)
BROKEN: dict[str, tuple[Forward, str, str]] = {
    "view(2, -1)": (lambda net, x: net.head(net.features(x).view(2, -1)), "batch_axis", "networks.py"),
    "view(len(x), -1)": (lambda net, x: net.head(net.features(x).view(len(x), -1)), "batch_axis", "networks.py"),
    "view(int(size), -1)": (
        lambda net, x: net.head(net.features(x).view(int(x.size(0)), -1)),
        "batch_axis",
        "networks.py",
    ),
    "zeros(2, 3) added": (lambda net, x: net.head(flat(net, x)) + torch.ones(2, OUTPUTS), "batch_axis", "networks.py"),
    "loop over rows": (_by_rows, "batch_axis", "networks.py"),
    "branch on the batch size": (_large_batches_differ, "batch_axis", "some batch sizes"),
    "branch on the data": (_branch_on_data, "control_flow", "torch.where"),
    "operator without ONNX form": (
        lambda net, x: net.head(torch.linalg.qr(flat(net, x).unsqueeze(2))[0].squeeze(2)),
        "operators",
        "linalg_qr",
    ),
    "functional dropout": (lambda net, x: net.head(F.dropout(flat(net, x), 0.5)), "train_mode", "self.training"),
    "noise added": (lambda net, x: net.head(flat(net, x)) + torch.rand_like(x[:, 0, 0, :3]), "randomness", "Random"),
    "mean over the batch": (
        lambda net, x: net.head(flat(net, x) - flat(net, x).mean(dim=0)),
        "batch_invariance",
        "neighbours",
    ),
    "cumulative sum over rows": (lambda net, x: net.head(flat(net, x)).cumsum(dim=0), "batch_invariance", "neighbours"),
    "batch statistics": (_batch_statistics, "batch_invariance", "BatchNorm"),
    "softmax inside": (lambda net, x: net.head(flat(net, x)).softmax(dim=1), "single_softmax", "2 times"),
    "log of zero": (_log_of_dark, "finite", "NaN or infinity"),
    "a tuple returned": (lambda net, x: (net.head(flat(net, x)), x), "forward", "tuple"),  # type: ignore[return-value, dict-item]
    "a feature map returned": (lambda net, x: net.features(x), "forward", "one value per label"),
    "another input size": (lambda net, x: net.head(net.features(x[:, :, 1:]).flatten(1)), "forward", "input's size"),
}
