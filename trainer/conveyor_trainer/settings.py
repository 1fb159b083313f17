"""What `conveyor train` and `conveyor summary` can be told: one settings class each, no heavy imports."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic_settings import BaseSettings, CliPositionalArg, SettingsConfigDict


class TrainSettings(BaseSettings):
    """Train a network and leave a run behind."""

    model_config = SettingsConfigDict(env_prefix="CONVEYOR_TRAIN_")

    architecture: CliPositionalArg[str] = Field(
        description="a ready-made architecture such as mnist_cnn, or the path of a .yaml file"
    )
    data: str = Field(description="the data set: digits (comes along, no download) or mnist")
    run: Path = Field(description="the folder that the run is written to")
    data_dir: Path | None = Field(
        default=None, description="the folder of the data set's files; without it, mnist is downloaded once"
    )
    recipe: str = Field(default="default", description="how to train: default, or article (as textbooks do)")
    epochs: PositiveInt | None = Field(default=None, description="passes over the training images; by the recipe")
    batch_size: PositiveInt | None = Field(default=None, description="images a step; by the recipe")
    seed: NonNegativeInt = Field(default=0, description="decides first weights, order and dropout")
    split_seed: NonNegativeInt = Field(default=0, description="decides which images are held out")
    resume: bool = Field(default=False, description="go on where the run in --run was stopped")
    force: bool = Field(default=False, description="replace the run that --run already holds")
    export: Path | None = Field(default=None, description="afterwards, export into this model repository")
    name: str | None = Field(default=None, description="the model's name in the repository; by the architecture")


class SummarySettings(BaseSettings):
    """Show each layer's shape and cost, by arithmetic alone."""

    model_config = SettingsConfigDict(env_prefix="CONVEYOR_SUMMARY_")

    architecture: CliPositionalArg[str] = Field(
        description="a ready-made architecture such as mnist_cnn, or the path of a .yaml file"
    )
    classes: PositiveInt | None = Field(default=None, description="what `units: classes` means; by the file")
    formulas: bool = Field(default=False, description="show the formula behind each shape")
    json_: bool = Field(default=False, description="print JSON only")
