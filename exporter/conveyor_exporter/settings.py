"""What `conveyor export`, `evaluate`, `check` and `inspect` can be told: one settings class each, no heavy imports."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, PositiveInt, field_validator, model_validator

_INPUT = re.compile(r"\d+x\d+(?:x\d+)?")


class ExportSettings(BaseModel):
    """Prove a network and put it into a repository."""

    run: Annotated[Path | None, "positional"] = Field(default=None, description="the folder of a run that has finished")
    to: Path = Field(description="the model repository to write into")
    name: str = Field(description="the model's name in the repository")
    version: PositiveInt | None = Field(default=None, description="the version; without it, the highest plus one")
    force: bool = Field(default=False, description="overwrite the version if it exists")
    data_dir: Path | None = Field(default=None, description="the folder of the data set's files, if it has moved")
    module: str | None = Field(
        default=None, description="FILE_OR_MODULE:FACTORY of a torch.nn.Module, instead of a run"
    )
    input: str | None = Field(default=None, description="with --module: one row's size, CxHxW or CxL, as 1x28x28")
    labels: str | None = Field(
        default=None, description="with --module: labels of the outputs, a,b,c, or a .txt or .json file"
    )
    mean: str | None = Field(default=None, description="with --module: mean per channel of pixels in 0..1, as 0.13")
    standard_deviation: str | None = Field(default=None, description="with --module: standard deviation per channel")
    output: Literal["logits", "probabilities", "values"] | None = Field(
        default=None, description="with --module: what forward returns, logits by default; values is regression"
    )
    data: str | None = Field(default=None, description="with --module: the data set to check on; else noise")
    max_batch_size: PositiveInt = Field(default=32, description="rows; the largest batch that is proved and served")
    opset: PositiveInt = Field(default=18, description="ONNX operator set of the file")
    precision: Literal["fp32", "int8", "fp16", "auto"] = Field(
        default="fp32", description="kept only where it pays, int8 on the CPU, fp16 on CUDA; auto tries all of them"
    )
    max_drop: float = Field(default=0.2, ge=0, description="points of accuracy that a lower precision may lose")
    unproved: bool = Field(default=False, description="write fp16 where there is no CUDA to prove it on, marked so")
    golden: Literal["real", "synthetic"] = Field(
        default="real", description="golden samples inside the file: images of the test split, or noise"
    )
    rejected_dir: Path | None = Field(
        default=None, description="where a refused model goes; by default RUN/rejected, or ./rejected"
    )
    json_: bool = Field(default=False, description="print JSON only")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.run is None) == (self.module is None):
            raise ValueError("give either the folder of a RUN or --module FILE_OR_MODULE:FACTORY")
        if self.module is not None and self.input is None:
            raise ValueError("--module needs --input, one row's size as CxHxW")
        if self.input is not None and not _INPUT.fullmatch(self.input):
            raise ValueError(f"--input is {self.input!r}; write CxHxW for images or CxL for signals, as 1x28x28")
        of_module = ("input", "labels", "mean", "standard_deviation", "output", "data")
        given = [name for name in of_module if getattr(self, name) is not None]
        if self.run is not None and given:
            raise ValueError(f"--{given[0].replace('_', '-')} goes with --module; a run knows its own")
        return self


class AdoptSettings(BaseModel):
    """Check somebody's ONNX classifier of images and write a contract into it."""

    model: Annotated[Path, "positional"] = Field(description="an ONNX file; it is left as it is")
    to: Path = Field(description="the model repository to write into")
    name: str = Field(description="the model's name in the repository")
    version: PositiveInt | None = Field(default=None, description="the version; without it, the highest plus one")
    force: bool = Field(default=False, description="overwrite the version if it exists")
    input: str = Field(description="the images' size as the network takes them, CxHxW, as 3x224x224")
    labels: str | None = Field(default=None, description="labels of the outputs, a,b,c, or a .txt or .json file")
    output: Literal["logits", "probabilities", "values"] = Field(
        default="logits", description="what the file answers with; logits get a softmax, values is regression"
    )
    pixels: Literal["0..1", "0..255"] = Field(default="0..1", description="the range that mean and deviation speak of")
    mean: str | None = Field(default=None, description="mean per channel, as 0.485,0.456,0.406")
    standard_deviation: str | None = Field(default=None, description="standard deviation per channel")
    shortest_side: PositiveInt | None = Field(
        default=None,
        description="pixels that the shorter side is resized to before the crop; else images are stretched",
    )
    filter: Literal["nearest", "bilinear", "bicubic", "lanczos", "box"] = Field(
        default="bilinear", description="how images are resized"
    )
    data: str | None = Field(default=None, description="a data set to check on; else noise")
    data_dir: Path | None = Field(default=None, description="the folder of the data set's files")
    images: list[Path] = Field(
        default=[], description="image files that become golden samples, where there are no data"
    )
    max_batch_size: PositiveInt = Field(default=32, description="rows; the largest batch that is proved and served")
    golden: Literal["real", "synthetic"] = Field(
        default="real", description="golden samples inside the file: images, or noise"
    )
    rejected_dir: Path | None = Field(default=None, description="where a refused model goes; by default ./rejected")
    json_: bool = Field(default=False, description="print JSON only")

    @field_validator("input")
    @classmethod
    def _image_size(cls, text: str) -> str:
        if not _INPUT.fullmatch(text) or text.count("x") != 2:
            raise ValueError(f"it is {text!r}; write CxHxW, as 3x224x224")
        return text


class EvaluateSettings(BaseModel):
    """Measure a run or an exported model on a data set."""

    model: Annotated[Path, "positional"] = Field(description="the folder of a run, or an exported model.onnx")
    data: str = Field(description="the data set, such as digits or mnist")
    data_dir: Path | None = Field(default=None, description="the folder of the data set's files")
    split: Literal["train", "validation", "test"] = Field(default="test", description="which part of the data set")
    skip_unreadable: bool = Field(default=False, description="leave out image files that cannot be read")
    json_: bool = Field(default=False, description="print JSON only")


class CheckSettings(BaseModel):
    """Check anybody's ONNX classifier."""

    model: Annotated[Path, "positional"] = Field(description="an ONNX file, with a contract or without")
    json_: bool = Field(default=False, description="print JSON only")


class InspectSettings(BaseModel):
    """Show what a model file says of itself."""

    model: Annotated[Path, "positional"] = Field(description="an ONNX file")
    json_: bool = Field(default=False, description="print JSON only")
