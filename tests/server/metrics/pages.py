"""A metrics page, read by Prometheus's own parser."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.server.http.asking import ask
from tests.server.process import ServerProcess

# What the parser calls a type that the page calls untyped.
UNTYPED = "unknown"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A family of the page: its kind and its labels, where it has samples; a histogram's `le` left out."""

    kind: str
    help: str
    labels: frozenset[str] | None


class Page:
    """What a server shows now."""

    def __init__(self, server: ServerProcess) -> None:
        self.text = ask(server.http_address, "/metrics").text
        self.metrics: dict[str, Metric] = {}
        self._values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(self.text):
            labels: set[str] = set()
            for sample in family.samples:
                labels |= sample.labels.keys() - {"le"}
                self._values[sample.name, frozenset(sample.labels.items())] = sample.value
            # The parser takes the ending off.
            name = f"{family.name}_total" if family.type == "counter" else family.name
            self.metrics[name] = Metric(
                kind="untyped" if family.type == UNTYPED else family.type,
                help=family.documentation,
                labels=frozenset(labels) if family.samples else None,
            )

    def value(self, name: str, **labels: str) -> float:
        """The one sample with these labels."""
        return self._values[name, frozenset(labels.items())]

    def sum(self, name: str, **labels: str) -> float:
        """All samples of that name with these labels among theirs."""
        wanted = labels.items()
        return sum(value for (known, given), value in self._values.items() if known == name and wanted <= given)
