"""What `conveyor bench` is told."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from conveyor_client.channel import DEFAULT_ADDRESS


class BenchSettings(BaseSettings):
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
    connections: int = Field(default=1, ge=1, description="HTTP/2 connections to spread the requests over")
    image: list[Path] = Field(default=[], description="image files to send; without any, noise of the model's size")
    encoding: Literal["raw", "png"] = Field(default="raw", description="how noise is sent: raw pixels or PNG files")
    top: int = Field(default=1, ge=1, description="labels asked for each image")
    seed: int = Field(default=0, description="seed of the noise and of the arrivals")
    json_: Path | None = Field(default=None, description="write all figures to this JSON file; - prints them alone")
    plot: Path | None = Field(default=None, description="draw the percentile curve into this file (.png, .svg, .pdf)")

    @model_validator(mode="after")
    def _one_loop(self) -> Self:
        if self.concurrency is not None and self.rate is not None:
            raise ValueError("give either --concurrency (closed loop) or --rate (open loop)")
        return self

    @property
    def closed_concurrency(self) -> int:
        """Requests under way in the closed loop."""
        return self.concurrency or 8
