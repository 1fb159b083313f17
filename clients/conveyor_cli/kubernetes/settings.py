"""What `conveyor deploy` is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field


class DeploySettings(BaseModel):
    """Where the plan is, what to build on, and how much is to come."""

    target: Annotated[Literal["k8s"], "positional"] = Field(description="What to write manifests for: k8s.")
    plan: Path = Field(
        Path("tuned.yaml"), description="What conveyor tune wrote, measured on a machine like the cluster's nodes."
    )
    overlay: Literal["cpu", "cuda", "monitoring"] = Field(
        "monitoring", description="Overlay to build on. monitoring: cpu, with what scales by Prometheus's figures."
    )
    manifests: Path = Field(
        Path("deploy/kubernetes"), description="Folder with the project's manifests, which the result refers to."
    )
    out: Path = Field(Path("kubernetes"), description="Folder to write, for kubectl apply --kustomize.")
    image: str = Field("", description="The server's image as REGISTRY/NAME:TAG, where the cluster finds it.")
    rate: float | None = Field(
        None, gt=0, description="Requests a second to be ready for; without it there are two pods to begin with."
    )
    max_replicas: int | None = Field(None, ge=2, description="Most pods (default: twice as many as the first, or 10).")
