"""What `conveyor train` and `conveyor summary` can be told: one settings class each, no heavy imports."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from conveyor_trainer.task import Task


def _two_sizes(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[1-9]\d*x[1-9]\d*", value):
        raise ValueError("must read HxW, height and width in pixels, such as 224x224")
    return value


InputSize = Annotated[str | None, AfterValidator(_two_sizes)]
Colour = Literal["grayscale", "rgb"]


class TrainSettings(BaseModel):
    """Train a network and leave a run behind."""

    architecture: Annotated[str | None, "positional"] = Field(
        default=None, description="a ready-made architecture such as mnist_cnn, or the path of a .yaml file"
    )
    data: str = Field(
        description="the data set: digits (comes along, no download), mnist, fashion_mnist, cifar10, folder or arrays"
    )
    run: Path = Field(description="the folder that the run is written to")
    data_dir: Path | None = Field(
        default=None,
        description="the folder of the data set's files (arrays: or the file); without it, mnist, fashion_mnist and "
        "cifar10 are downloaded once",
    )
    recipe: str = Field(
        default="default",
        description="how to train: default, article (as textbooks do), mnist_best (22 epochs with augmentation), or a "
        ".yaml file of a recipe's settings",
    )
    epochs: PositiveInt | None = Field(default=None, description="passes over the training images; by the recipe")
    batch_size: PositiveInt | None = Field(default=None, description="images a step; by the recipe")
    learning_rate: PositiveFloat | None = Field(default=None, description="the highest; by the recipe")
    patience: PositiveInt | None = Field(
        default=None, description="stop after so many epochs without improvement on validation; by the recipe"
    )
    seed: NonNegativeInt = Field(default=0, description="decides first weights, order, dropout and augmentation")
    split_seed: NonNegativeInt = Field(default=0, description="decides which images are held out")
    skip_unreadable: bool = Field(default=False, description="leave out image files that cannot be read; count them")
    imbalance: Literal["none", "weights", "sampler"] | None = Field(
        default=None, description="classes of unequal size: weigh rare ones more, or draw all alike; by the recipe"
    )
    input_size: InputSize = Field(default=None, description="HxW in pixels, in place of the architecture's own")
    colour: Colour | None = Field(
        default=None, description="colour mode of the images, in place of the architecture's own"
    )
    module: str | None = Field(
        default=None, description="FILE_OR_MODULE:FACTORY of a torch.nn.Module, in ARCHITECTURE's place"
    )
    input: str | None = Field(
        default=None,
        pattern=r"^[1-9]\d*(x[1-9]\d*){1,2}$",
        description="what --module takes: CxHxW, or CxL for signals",
    )
    task: Task | None = Field(
        default=None, description="what --module answers with: classification (logits, the default) or regression"
    )
    init_from: Path | None = Field(
        default=None, description="begin with the weights of this run or .safetensors file, the last layer made anew"
    )
    freeze_epochs: NonNegativeInt = Field(default=0, description="so many epochs only the last layer learns")
    resume: bool = Field(default=False, description="go on where the run in --run was stopped")
    force: bool = Field(default=False, description="replace the run that --run already holds")
    pictures: bool = Field(default=True, description="draw curves, mistakes, filters and more into the run")
    events: bool = Field(default=True, description="write TensorBoard events into the run")
    export: Path | None = Field(default=None, description="afterwards, export into this model repository")
    name: str | None = Field(default=None, description="the model's name in the repository; by the architecture")

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if (self.architecture is None) == (self.module is None):
            raise ValueError("give either an ARCHITECTURE or --module FILE_OR_MODULE:FACTORY")
        if (self.module is None) != (self.input is None):
            raise ValueError("--module and --input CxHxW go together")
        if self.module is not None and (self.input_size or self.colour):
            raise ValueError("--input-size and --colour change an architecture's input; --module has --input CxHxW")
        if self.input is not None and len(self.input.split("x")) == 3 and self.input.split("x")[0] not in ("1", "3"):
            raise ValueError(f"--input reads CxHxW with 1 or 3 channels, such as 3x224x224, not {self.input}")
        return self

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        if self.module is None and self.task is not None:
            raise ValueError(
                "--task is for --module; an ARCHITECTURE says it itself: with a softmax at its end, classes"
            )
        if self.freeze_epochs and self.init_from is None:
            raise ValueError("--freeze-epochs goes with --init-from: untrained layers are not worth keeping")
        if self.resume and self.force:
            raise ValueError("--resume goes on with the run that --force would replace: give one of them")
        return self

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """(C, H, W) or (C, L) of --module's input."""
        return tuple(int(size) for size in self.input.split("x")) if self.input else None


class ReportSettings(BaseModel):
    """Show a run's figures and write one page with its pictures."""

    run: Annotated[Path, "positional"] = Field(description="the folder of a finished run")
    data_dir: Path | None = Field(
        default=None, description="the folder of the data set's files, to draw pictures that the run does not have yet"
    )
    json_: bool = Field(default=False, description="print the report as JSON and write nothing")


class SummarySettings(BaseModel):
    """Show each layer's shape and cost, by arithmetic alone."""

    architecture: Annotated[str, "positional"] = Field(
        description="a ready-made architecture such as mnist_cnn, or the path of a .yaml file"
    )
    classes: PositiveInt | None = Field(default=None, description="what `units: classes` means; by the file")
    input_size: InputSize = Field(default=None, description="HxW in pixels, in place of the architecture's own")
    colour: Colour | None = Field(
        default=None, description="colour mode of the images, in place of the architecture's own"
    )
    formulas: bool = Field(default=False, description="show the formula behind each shape")
    json_: bool = Field(default=False, description="print JSON only")
