"""What the commands for operators have in common: how the server is reached, and how traffic is shown."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from google.protobuf.json_format import MessageToDict
from pydantic import BaseModel, Field

from conveyor.v1 import admin_pb2
from conveyor_client import AdminClient, Connection
from conveyor_client.channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT

_STEPS = {
    admin_pb2.STEP_SET: "set",
    admin_pb2.STEP_PROMOTED: "promoted",
    admin_pb2.STEP_ROLLED_BACK: "rolled back",
    admin_pb2.STEP_CLEARED: "cleared",
}


class AdminSettings(BaseModel):
    """Which model of which server."""

    model: Annotated[str, "positional"] = Field(description="the model's name on the server")
    url: str = Field(default=DEFAULT_ADDRESS, description="the server's gRPC address, HOST:PORT; grpcs:// for TLS")
    timeout: float = Field(default=DEFAULT_TIMEOUT, gt=0, description="seconds that the call may take")
    json_: bool = Field(default=False, description="print JSON only")
    root_certificates: Path | None = Field(default=None, description="PEM file of whom to trust, for TLS")
    certificate: Path | None = Field(default=None, description="PEM file of the client's certificate, for mutual TLS")
    key: Path | None = Field(default=None, description="PEM file of the client's key, for mutual TLS")
    token_file: Path | None = Field(default=None, description="file with the administrators' token")


def open_client(settings: AdminSettings) -> AdminClient:
    """A connection to the server."""
    connection = Connection(
        root_certificates=settings.root_certificates,
        certificate=settings.certificate,
        key=settings.key,
        token=settings.token_file,
    )
    return AdminClient(settings.url, timeout=settings.timeout, connection=connection)


def print_traffic(traffic: admin_pb2.Traffic, *, as_json: bool) -> None:
    """Prints a model's traffic: lines to read, or the message as JSON with every field."""
    if as_json:
        fields = MessageToDict(traffic, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        text = json.dumps(fields, indent=2)
    else:
        text = "\n".join(_lines(traffic))
    sys.stdout.write(text + "\n")


def _lines(traffic: admin_pb2.Traffic) -> Iterator[str]:
    rule = traffic.rule
    if not traffic.HasField("rule"):
        yield f"{traffic.model_name}: the newest version answers"
    else:
        yield f"{traffic.model_name}: version {rule.stable_version} is stable"
    if rule.canary_version:
        yield f"  canary   version {rule.canary_version} answers {rule.canary_share:.1%} of the requests"
    if rule.shadow_version:
        yield f"  shadow   version {rule.shadow_version} is given {rule.shadow_share:.1%} of the stable answers"
    if traffic.HasField("comparison"):
        yield from _comparison(traffic.comparison)
    if traffic.rejected_versions:
        yield f"  rolled back earlier: {', '.join(traffic.rejected_versions)}"
    for decision in traffic.decisions[-1:]:
        who = "by the server" if decision.automatic else "by an operator"
        why = f": {decision.reason}" if decision.reason else ""
        yield f"  last     {_STEPS.get(decision.step, 'changed')} {who}{why}"


def _comparison(seen: admin_pb2.Comparison) -> Iterator[str]:
    yield f"  compared {seen.rows} rows, {seen.dropped_rows} dropped, {seen.trial_failed_rows} failed on trial"
    if seen.rows:
        yield f"  agree    {seen.agreement:.4f}, confidence {seen.confidence_shift:+.4f}"
        yield f"  differ   {seen.mean_difference:.2e} in the mean, {seen.max_difference:.2e} at most"
        yield f"  a row    {seen.trial_us:.1f} us on trial, {seen.stable_us:.1f} us stable"
