"""What `conveyor tune` is told."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from conveyor_bench.durations import Duration


class TuneSettings(BaseModel):
    """A search on this machine. Durations in seconds."""

    model: Annotated[list[Path], "positional"] = Field(
        min_length=1, description="model.onnx files to choose from: one, or the same network in several precisions"
    )
    slo_p99: Duration = Field(gt=0, description="99th percentile to meet, such as 20ms")
    engine: list[Literal["grpcio", "envoy"]] = Field(
        default=["grpcio", "envoy"], min_length=1, description="engines to try; one that does not run here is left out"
    )
    max_workers: int | None = Field(default=None, ge=1, description="most worker processes to try (default: the cores)")
    delays: list[float] = Field(
        default=[1.0, 2.0], description="milliseconds of --max-queue-delay to try beside 0, with what did best"
    )
    images_per_request: int = Field(default=1, ge=1, description="images in each request")
    protocol: Literal["conveyor", "inference"] = Field(
        default="conveyor", description="Classify, or ModelInfer, for a file without a contract too"
    )
    duration: float = Field(default=2.0, gt=0, description="seconds of each rate that is tried")
    output: Path = Field(
        default=Path("tuned.yaml"), description="the plan is written here, for conveyor serve --config"
    )
    plot: Path | None = Field(default=None, description="draw p99 against rate for each candidate into this file")
