"""conveyor traffic: put a version on trial beside the stable one, and see how it does."""

import sys
from typing import Self

from pydantic import Field, model_validator

from conveyor.v1 import admin_pb2
from conveyor_cli.administering import AdminSettings, open_client, print_traffic

SUMMARY = "show or change which version of a model answers, and which one is on trial"
EXAMPLE = "conveyor traffic mnist --stable 1 --shadow 2 --min-agreement 0.95"


class TrafficSettings(AdminSettings):
    """What `conveyor traffic` is told. Without any version it only shows."""

    stable: str = Field(default="", description="version that answers; without it, the one that answers now")
    canary: str = Field(default="", description="version on trial that answers a share of the requests")
    canary_share: float = Field(default=0.0, ge=0, le=1, description="the canary's share of the requests, 0 to 1")
    shadow: str = Field(default="", description="version on trial that is given copies, and answers nobody")
    shadow_share: float = Field(default=1.0, ge=0, le=1, description="share of the batches that are copied, 0 to 1")
    sticky_key: str = Field(
        default="", description="metadata key whose value decides who goes to the canary, or request-id; by chance"
    )
    min_rows: int = Field(default=100, ge=1, description="rows before the trial is judged")
    min_agreement: float | None = Field(default=None, description="roll back below this agreement, 0 to 1")
    max_error_share: float | None = Field(
        default=None, description="roll back above this share of failed rows, 0 to 1, on top of the stable version's"
    )
    max_latency_ratio: float | None = Field(default=None, description="roll back when runs take so many times as long")
    clear: bool = Field(default=False, description="end the rule: the newest version answers")

    @model_validator(mode="after")
    def _one_change(self) -> Self:
        if self.clear and self.changes:
            raise ValueError("--clear ends the rule; give no versions with it")
        limits = (self.min_agreement, self.max_error_share, self.max_latency_ratio)
        if any(limit is not None for limit in limits) and not (self.canary or self.shadow):
            raise ValueError("limits need a version on trial; give --canary or --shadow")
        return self

    @property
    def changes(self) -> bool:
        """Whether a rule is given."""
        return bool(self.stable or self.canary or self.shadow)


Settings = TrafficSettings


def run(settings: TrafficSettings) -> int:
    """Shows the traffic as it is after any change that was asked for."""
    with open_client(settings) as client:
        if settings.clear:
            traffic = client.clear_traffic(settings.model)
        elif settings.changes:
            traffic = client.set_traffic(settings.model, _rule(settings))
        else:
            traffic = client.traffic(settings.model)
    print_traffic(traffic, as_json=settings.json_)
    if traffic.HasField("comparison") and not settings.json_:
        sys.stderr.write(f"next: conveyor promote {settings.model}, or conveyor rollback {settings.model}\n")
    return 0


def _rule(settings: TrafficSettings) -> admin_pb2.TrafficRule:
    return admin_pb2.TrafficRule(
        stable_version=settings.stable,
        canary_version=settings.canary,
        canary_share=settings.canary_share,
        shadow_version=settings.shadow,
        shadow_share=settings.shadow_share if settings.shadow else None,
        sticky_key=settings.sticky_key,
        limits=admin_pb2.TrafficLimits(
            min_rows=settings.min_rows,
            min_agreement=settings.min_agreement,
            max_error_share=settings.max_error_share,
            max_latency_ratio=settings.max_latency_ratio,
        ),
    )
