"""The layers that an architecture is written in, with the field's names and defaults (Keras's and PyTorch's).

Only what a layer *is* stands here; its arithmetic is in shapes.py, its PyTorch module in module.py.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

ActivationName = Literal["linear", "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softmax"]
Padding = Literal["valid", "same"] | tuple[Annotated[int, Field(ge=0)], ...]
Sizes = tuple[PositiveInt, ...]  # one number an axis: (height, width), or (length,)


class LayerBase(BaseModel):
    """What every layer has. `line` is where it stands in its file, for error messages only."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")] | None = None
    line: int | None = Field(default=None, exclude=True, repr=False)


class WindowLayer(LayerBase):
    """A layer that slides a window over `axes` axes. A single number stands for all of them."""

    axes: ClassVar[int] = 2

    @field_validator("kernel_size", "pool_size", "strides", "dilation", "padding", mode="before", check_fields=False)
    @classmethod
    def _one_number_an_axis(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("must be a number")
        if isinstance(value, int):
            return (value,) * cls.axes
        if isinstance(value, list | tuple) and len(value) != cls.axes:
            raise ValueError(f"must be one number or {cls.axes}, got {len(value)}")
        return value

    @field_validator("padding", mode="before", check_fields=False)
    @classmethod
    def _padding_is_known(cls, value: Any) -> Any:
        numbers = value if isinstance(value, list | tuple) else [value]
        if value not in ("valid", "same") and not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise ValueError(f"must be valid, same or a number of at least 0, got {value!r}")
        return value


class Convolution(WindowLayer):
    """What all convolutions share. `same` follows Keras: output = ceil(size / stride), odd padding goes last."""

    filters: PositiveInt
    kernel_size: Sizes
    strides: Sizes = Field(default=1, validate_default=True)
    padding: Padding = "valid"
    dilation: Sizes = Field(default=1, validate_default=True)
    use_bias: bool = True
    activation: ActivationName = "linear"


class Conv2D(Convolution):
    """C x H x W to filters x H' x W'."""

    type: Literal["conv2d"] = "conv2d"
    groups: PositiveInt = 1


class Conv1D(Convolution):
    """C x L to filters x L'."""

    axes: ClassVar[int] = 1
    type: Literal["conv1d"] = "conv1d"
    groups: PositiveInt = 1


class DepthwiseSeparableConv2D(Convolution):
    """A convolution of each channel by itself, then a 1x1 convolution across them (Keras's SeparableConv2D)."""

    type: Literal["depthwise_separable_conv2d"] = "depthwise_separable_conv2d"
    depth_multiplier: PositiveInt = 1


class Pool(WindowLayer):
    """What all pooling layers share. The stride is the window unless given."""

    pool_size: Sizes = Field(default=2, validate_default=True)
    strides: Sizes | None = None
    padding: Padding = "valid"

    @model_validator(mode="after")
    def _padding_at_most_half(self) -> Pool:
        if isinstance(self.padding, tuple):
            for padding, size in zip(self.padding, self.pool_size, strict=True):
                if 2 * padding > size:
                    raise ValueError(f"padding {padding} is more than half of pool_size {size}")
        return self


class MaxPool2D(Pool):
    """The largest value of each window; padding never wins."""

    type: Literal["max_pool2d"] = "max_pool2d"


class AvgPool2D(Pool):
    """The mean of each window. `same` leaves padding out of the mean (Keras); a number counts zeros (PyTorch)."""

    type: Literal["avg_pool2d"] = "avg_pool2d"


class MaxPool1D(Pool):
    """max_pool2d for signals."""

    axes: ClassVar[int] = 1
    type: Literal["max_pool1d"] = "max_pool1d"


class AvgPool1D(Pool):
    """avg_pool2d for signals."""

    axes: ClassVar[int] = 1
    type: Literal["avg_pool1d"] = "avg_pool1d"


class GlobalAvgPool2D(LayerBase):
    """C x H x W to C x 1 x 1: one mean a channel."""

    axes: ClassVar[int] = 2
    type: Literal["global_avg_pool2d"] = "global_avg_pool2d"


class GlobalAvgPool1D(LayerBase):
    """C x L to C x 1."""

    axes: ClassVar[int] = 1
    type: Literal["global_avg_pool1d"] = "global_avg_pool1d"


class BatchNorm(LayerBase):
    """Normalises each channel. `momentum` is the weight of the newest batch, as in PyTorch."""

    type: Literal["batch_norm"] = "batch_norm"
    momentum: float = Field(default=0.1, gt=0, le=1)
    epsilon: float = Field(default=1e-5, gt=0)


class Dropout(LayerBase):
    """Zeroes a share `rate` of the values while training."""

    type: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0, lt=1)


class Flatten(LayerBase):
    """C x H x W to N = C * H * W."""

    type: Literal["flatten"] = "flatten"


class Dense(LayerBase):
    """N to units. `units: classes` takes the number of classes (or of values) from the data."""

    type: Literal["dense"] = "dense"
    units: PositiveInt | Literal["classes"]
    use_bias: bool = True
    activation: ActivationName = "linear"

    @field_validator("units", mode="before")
    @classmethod
    def _number_or_classes(cls, value: Any) -> Any:
        if value != "classes" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"must be a number of at least 1, or `classes`: as many as the data need; got {value!r}")
        return value


class Activation(LayerBase):
    """An activation as a layer of its own."""

    type: Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softmax"]


class Residual(LayerBase):
    """Adds what goes into `layers` to what comes out of them, then applies the activation.

    shortcut `auto`: the input itself where shapes agree, else `projection`: a 1x1 convolution and batch_norm.
    """

    type: Literal["residual"] = "residual"
    layers: tuple[Layer, ...] = Field(min_length=1)
    shortcut: Literal["auto", "identity", "projection"] = "auto"
    activation: ActivationName = "relu"


Layer = Annotated[
    Conv2D
    | Conv1D
    | DepthwiseSeparableConv2D
    | MaxPool2D
    | AvgPool2D
    | MaxPool1D
    | AvgPool1D
    | GlobalAvgPool2D
    | GlobalAvgPool1D
    | BatchNorm
    | Dropout
    | Flatten
    | Dense
    | Activation
    | Residual,
    Field(discriminator="type"),
]

LAYER_TYPES: tuple[str, ...] = (
    *("conv2d", "conv1d", "depthwise_separable_conv2d", "max_pool2d", "avg_pool2d", "max_pool1d", "avg_pool1d"),
    *("global_avg_pool2d", "global_avg_pool1d", "batch_norm", "dropout", "flatten", "dense", "residual"),
    *("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softmax"),
)


def settings_of(kind: str) -> tuple[str, ...]:
    """What a layer of this type can be told."""
    (layer,) = (
        found for found in get_args(get_args(Layer)[0]) if kind in get_args(found.model_fields["type"].annotation)
    )
    return tuple(name for name in layer.model_fields if name not in ("type", "line"))


def activation_of(layer: LayerBase) -> str:
    """The activation that a layer ends with; "linear" where it has none."""
    if isinstance(layer, Activation):
        return layer.type
    return str(getattr(layer, "activation", "linear"))


Residual.model_rebuild()
