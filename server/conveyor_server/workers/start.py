"""What a worker is told when it starts, and what it reports once it serves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings


log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A model that the workers serve: these versions, at least one, loaded with this configuration (JSON, or empty)."""

    versions: Sequence[int]
    config: str = ""


@dataclass(frozen=True, kw_only=True)
class SharedState:
    """What the workers have in common by now, for one that joins them.

    `calls` are to be done again, in their order: paths of methods with their requests in base64. One that is alone
    takes the place of the last worker there was.
    """

    models: Mapping[str, Pin] = field(default_factory=dict)
    calls: Sequence[tuple[str, str]] = ()
    is_alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a worker starts. `state` is None for the first ones, who load what the settings say."""

    number: int
    settings_text: str
    state: SharedState | None
    # Models' traffic, where it is no longer what the settings say: the fields of TrafficState.
    traffic: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_body(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Start:
        """Reads what `to_body` wrote."""
        state = body["state"]
        if state is not None:
            models = {name: Pin(**pin) for name, pin in state["models"].items()}
            calls = [(path, payload) for path, payload in state["calls"]]
            state = SharedState(models=models, calls=calls, is_alone=state["is_alone"])
        settings_text, traffic = body["settings_text"], body["traffic"]
        return cls(number=body["number"], settings_text=settings_text, state=state, traffic=traffic)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A server that has loaded: its addresses, the versions of each model that serve, what they run on."""

    address: str
    # Empty without HTTP.
    http_address: str
    models: Mapping[str, Sequence[int]]
    engine: str
    provider: str
    # Whether every model that has to serve does.
    complete: bool


def announce(report: Report, settings: ServerSettings) -> None:
    """Logs that the server is ready, or why it is not."""
    if report.complete:
        models = ",".join(f"{name}/{version}" for name in sorted(report.models) for version in report.models[name])
        log.info(
            "ready address=%s http=%s models=%s engine=%s provider=%s workers=%d",
            *(report.address, report.http_address or "off", models, report.engine, report.provider, settings.workers),
        )
    else:
        repository = settings.repository
        log.warning(
            "not ready address=%s http=%s: %s holds no model that can be served",
            *(report.address, report.http_address or "off", repository),
        )
