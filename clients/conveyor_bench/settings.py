"""What `conveyor bench` is told."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from conveyor_bench.durations import Duration
from conveyor_bench.workload import ClosedLoop, Loop, OpenLoop
from conveyor_client.channel import DEFAULT_ADDRESS


class BenchSettings(BaseModel):
    """A load to put on a server. Durations in seconds, rates in requests per second."""

    url: str = Field(default=DEFAULT_ADDRESS, description="the server's gRPC address, HOST:PORT")
    model: str = Field(description="the model's name")
    version: str = Field(default="", description="the model's version; without it, the one that the server chooses")
    concurrency: int | None = Field(
        default=None, ge=1, description="closed loop: requests always under way (default: 8, when there is no --rate)"
    )
    rate: float | None = Field(
        default=None, gt=0, description="open loop: requests a second, sent whether or not the server keeps up"
    )
    arrivals: Literal["poisson", "constant"] = Field(
        default="poisson", description="open loop: gaps between requests, exponential or all alike"
    )
    duration: float = Field(default=10.0, gt=0, description="seconds measured")
    warmup: float = Field(default=1.0, ge=0, description="seconds of the same load before, not measured")
    timeout: float = Field(default=10.0, gt=0, description="seconds until a request counts as an error")
    images_per_request: int = Field(default=1, ge=1, description="images in each request")
    processes: int | None = Field(
        default=None, ge=1, description="processes of the client (default: as many as it takes, up to the cores left)"
    )
    connections: int = Field(default=1, ge=1, description="HTTP/2 connections of each process")
    protocol: Literal["conveyor", "inference"] = Field(
        default="conveyor",
        description="Classify, or ModelInfer with raw tensors: any server of the Open Inference Protocol",
    )
    stream: bool = Field(default=False, description="send single images over ClassifyStream, answers taken in order")
    streams: int = Field(default=1, ge=1, description="with --stream: streams of each process")
    sweep: bool = Field(default=False, description="find the highest rate that meets --slo-p99; --duration a step")
    slo_p99: Duration | None = Field(default=None, gt=0, description="99th percentile to meet, such as 20ms")
    target_rate: float | None = Field(
        default=None, gt=0, description="with --sweep: requests a second to say the needed replicas for"
    )
    baseline: bool = Field(
        default=False, description="run --model-file in this process too, without a server, and say what serving costs"
    )
    model_file: Path | None = Field(default=None, description="the served model.onnx, for --baseline")
    baseline_threads: int = Field(default=0, ge=0, description="threads of the baseline's session; 0: all cores")
    image: list[Path] = Field(default=[], description="image files to send; without any, noise of the model's size")
    encoding: Literal["raw", "png"] = Field(default="raw", description="how noise is sent: raw pixels or PNG files")
    top: int = Field(default=1, ge=1, description="labels asked for each image")
    seed: int = Field(default=0, description="seed of the noise and of the arrivals")
    json_: Path | None = Field(default=None, description="write all figures to this JSON file; - prints them alone")
    plot: Path | None = Field(default=None, description="draw the percentile curve into this file (.png, .svg, .pdf)")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.concurrency is not None and self.rate is not None:
            raise ValueError("give either --concurrency (closed loop) or --rate (open loop)")
        if self.stream and (self.protocol == "inference" or self.images_per_request > 1):
            raise ValueError("--stream sends single images over ClassifyStream, with --protocol conveyor only")
        if self.protocol == "inference" and self.image:
            raise ValueError("--image goes with --protocol conveyor; ModelInfer is fed with noise of the model's shape")
        if self.sweep and (self.slo_p99 is None or self.rate is not None):
            raise ValueError("--sweep needs --slo-p99, such as --slo-p99 20ms, and chooses rates by itself")
        if self.baseline and self.model_file is None:
            raise ValueError("--baseline needs the model's file: --model-file REPOSITORY/NAME/VERSION/model.onnx")
        return self

    @property
    def loop(self) -> Loop:
        """The load as it was asked for; without --rate and --concurrency, 8 requests under way."""
        if self.rate is None:
            return ClosedLoop(concurrency=self.concurrency or 8)
        return OpenLoop(rate=self.rate, arrivals=self.arrivals, seed=self.seed)
