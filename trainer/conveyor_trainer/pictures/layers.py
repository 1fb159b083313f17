"""What the layers do to one image: filters, feature maps, and which places speak for a class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its usual name

from conveyor_trainer.normalise import Normaliser
from conveyor_trainer.pictures.style import INK, Tile, displayable, image_grid, new_figure, shortened, show_image
from conveyor_trainer.report import Normalisation

_MOST_FILTERS = 64
_MOST_LAYERS, _MOST_MAPS = 10, 12
_MOST_CLASSES = 10


def has_convolutions(module: nn.Module) -> bool:
    """Whether there is anything of images to draw."""
    return any(isinstance(layer, nn.Conv2d) for layer in module.modules())


def draw_filters(module: nn.Module) -> Figure | None:
    """The first convolution's filters: in colour where they see colours, else blue for positive and red for negative
    weights. None where the filters are single pixels."""
    first = next(layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
    weights = first.weight.detach().cpu().numpy()[:_MOST_FILTERS]
    if max(weights.shape[2:]) == 1:
        return None
    reach = float(np.abs(weights).max()) or 1.0
    if weights.shape[1] == 3:
        return image_grid([Tile(pixels=(w.transpose(1, 2, 0) / reach + 1) / 2) for w in weights], columns=8)
    tiles = [Tile(pixels=filter_[0]) for filter_ in weights]
    return image_grid(tiles, columns=8, cmap="RdBu", vmin=-reach, vmax=reach)


def draw_feature_maps(module: nn.Module, row: NDArray[np.uint8], normalisation: Normalisation) -> Figure:
    """The image, then what each convolution makes of it: its liveliest channels, bright where it answers strongly."""
    with _convolution_outputs(module) as outputs, torch.no_grad():
        module(_input(row, normalisation))
    shown = _evenly(list(outputs.items()), _MOST_LAYERS)
    figure = new_figure(1.3 + 0.8 * (_MOST_MAPS + 1), 0.3 + 0.95 * len(shown))
    frames = figure.subplots(len(shown), _MOST_MAPS + 1, squeeze=False)
    for line, (name, output) in zip(frames, shown, strict=True):
        for frame in line:
            frame.axis("off")
        maps = output[0].numpy()
        channels, height, width = maps.shape
        lively = np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:_MOST_MAPS]
        for frame, channel in zip(line[1:], sorted(lively), strict=False):
            show_image(frame, maps[channel], cmap="viridis")
        line[0].set_title(" ", fontsize=8, pad=3)  # room for the text, which may reach over its neighbours
        text = f"{name}: {height} x {width} x {channels}"
        line[1].text(0, 1.05, text, transform=line[1].transAxes, fontsize=8, color=INK).set_in_layout(False)
    show_image(frames[0][0], displayable(row))
    frames[0][0].set_title("input", fontsize=8, color=INK, pad=3)
    return figure


def draw_class_activation(
    module: nn.Module, rows: NDArray[np.uint8], names: Sequence[str], normalisation: Normalisation
) -> Figure | None:
    """Each image, and below it where the network sees its answer, by the last convolution that still has height and
    width. None where none has."""
    rows = rows[:_MOST_CLASSES]
    maps = [activation_map(module, row, normalisation) for row in rows]
    if any(found is None for found in maps):
        return None
    figure = new_figure(max(3.0, 1.1 * len(rows)), 2.5)
    frames = figure.subplots(2, len(rows), squeeze=False)
    for column, (row, found, name) in enumerate(zip(rows, maps, names, strict=False)):
        show_image(frames[0][column], displayable(row))
        frames[0][column].set_title(shortened(name, 12), fontsize=8, color=INK, pad=3)
        show_image(frames[1][column], _grey(row))
        frames[1][column].imshow(found, cmap="inferno", alpha=0.65, vmin=0, vmax=1)
    return figure


def activation_map(
    module: nn.Module, row: NDArray[np.uint8], normalisation: Normalisation
) -> NDArray[np.float32] | None:
    """float32 (H, W) in 0..1: what each place of the last feature maps adds to the answer's logit (HiResCAM).

    Where global average pooling and one dense layer follow, this is the class activation map.
    """
    with _convolution_outputs(module, keep_gradients=True) as outputs, torch.enable_grad():
        module(_input(row, normalisation)).max().backward()
    module.zero_grad(set_to_none=True)
    spatial = [output for output in outputs.values() if min(output.shape[2:]) > 1 and output.grad is not None]
    if not spatial:
        return None
    last = spatial[-1]
    assert last.grad is not None
    heat = F.relu((last.grad * last.detach()).sum(dim=1, keepdim=True))
    large = F.interpolate(heat, size=row.shape[:2], mode="bilinear", align_corners=False)[0, 0]
    shares: NDArray[np.float32] = (large / large.max().clamp_min(1e-12)).numpy()
    return shares


@contextmanager
def _convolution_outputs(module: nn.Module, *, keep_gradients: bool = False) -> Iterator[dict[str, Tensor]]:
    """What each nn.Conv2d gives, by its name, in the order in which they run."""
    outputs: dict[str, Tensor] = {}

    def remember(name: str) -> Any:
        def hook(layer: nn.Module, given: Any, output: Tensor) -> None:
            if keep_gradients:
                output.retain_grad()
            outputs[name] = output

        return hook

    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d)]
    handles = [layer.register_forward_hook(remember(name)) for name, layer in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _input(row: NDArray[np.uint8], normalisation: Normalisation) -> Tensor:
    return Normaliser(normalisation)(torch.from_numpy(row[None]))


def _grey(row: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey: NDArray[np.float32] = row.mean(axis=-1, dtype=np.float32)
    return grey


def _evenly(entries: list[Any], most: int) -> list[Any]:
    if len(entries) <= most:
        return entries
    return [entries[index] for index in np.linspace(0, len(entries) - 1, most).astype(int)]
