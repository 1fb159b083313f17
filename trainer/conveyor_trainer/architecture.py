"""An architecture: the input's size and the layers, validated as a whole."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from conveyor_trainer.errors import ArchitectureError
from conveyor_trainer.input_format import InputFormat, input_format_of
from conveyor_trainer.layers import Layer, LayerBase, Residual, activation_of
from conveyor_trainer.task import Task

Shape = tuple[int, ...]  # (C, H, W), (C, L) or (N,): never with the batch axis


class Architecture(BaseModel):
    """A network in the field's words. `input` reads HxWxC for images and CxL for signals."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    input: str
    # What `units: classes` means where no data say it.
    classes: PositiveInt | None = None
    layers: tuple[Layer, ...] = Field(min_length=1)

    @field_validator("input", mode="before")
    @classmethod
    def _input_reads_as_sizes(cls, value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){1,2}", value):
            raise ValueError(f"must read HxWxC for images, such as 28x28x1, or CxL for signals, got {value!r}")
        sizes = value.split("x")
        if len(sizes) == 3 and sizes[2] not in ("1", "3"):
            raise ValueError(f"images have 1 channel (grey) or 3 (red, green, blue), got {sizes[2]}")
        return value

    @model_validator(mode="after")
    def _softmax_only_at_the_end(self) -> Architecture:
        for layer in _all_layers(self.layers):
            if activation_of(layer) == "softmax" and layer is not self.layers[-1]:
                raise ValueError(f"softmax belongs to the last layer only, found in {layer_place(layer)}")
        return self

    @property
    def input_shape(self) -> Shape:
        """(C, H, W) for images, (C, L) for signals."""
        sizes = tuple(int(size) for size in self.input.split("x"))
        return (sizes[2], sizes[0], sizes[1]) if len(sizes) == 3 else sizes

    @property
    def task(self) -> Task:
        """A softmax at the end makes a classifier; anything else answers with values."""
        return "classification" if activation_of(self.layers[-1]) == "softmax" else "regression"

    def with_classes(self, classes: int) -> Architecture:
        """The same layers for so many classes."""
        return self.model_copy(update={"classes": classes})

    def with_format(self, size: str | None, colour: str | None) -> Self:
        """The same layers for images of another size (HxW) or colour (grayscale or rgb); None: as they are. Raises
        ArchitectureError for signals."""
        if size is None and colour is None:
            return self
        if len(self.input_shape) != 3:
            raise ArchitectureError(
                f"{self.name} takes signals of {self.input} (channels x length): only images have a size and a colour"
            )
        own_channels, own_height, own_width = self.input_shape
        channels = {"grayscale": 1, "rgb": 3}.get(colour or "", own_channels)
        return self.model_copy(update={"input": f"{size or f'{own_height}x{own_width}'}x{channels}"})

    @property
    def input_format(self) -> InputFormat:
        """What is done to any image before this network sees it; or the signal that it takes."""
        return input_format_of(self.input_shape)

    def digest(self) -> str:
        """sha256 of what the layers compute: descriptions and line numbers left out."""
        content = self.model_dump(mode="json", exclude={"description"}, exclude_defaults=True)
        content["layers"] = [_typed(layer) for layer in self.layers]
        return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def layer_place(layer: LayerBase) -> str:
    """Where a layer stands, for error messages: its type and, when read from a file, its line."""
    kind = str(getattr(layer, "type", "layer"))
    return f"{kind} (line {layer.line})" if layer.line else kind


def _all_layers(layers: tuple[Layer, ...]) -> list[LayerBase]:
    found: list[LayerBase] = []
    for layer in layers:
        found.append(layer)
        if isinstance(layer, Residual):
            found.extend(_all_layers(layer.layers))
    return found


def _typed(layer: LayerBase) -> dict[str, object]:
    return layer.model_dump(mode="json", exclude_none=True)
