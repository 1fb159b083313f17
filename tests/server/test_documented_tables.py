"""The tables of server/README.md are what the code does."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from conveyor_server.errors import ErrorKind
from conveyor_server.health import WHOLE_SERVER, Health, Status
from conveyor_server.inference.codes import INFERENCE_CODES
from conveyor_server.settings import ServerSettings
from conveyor_server.statuses import CONVEYOR_CODES
from tests.server.scripted import in_loop

README = Path(__file__).parents[2] / "server" / "README.md"
CODE = Path(__file__).parents[2] / "server" / "conveyor_server"


def rows_under(heading: str) -> Iterator[list[str]]:
    """The cells of each row of the first table under a heading, its head left out."""
    section = README.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = section[section.index("\n|") :].strip().partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_errors_is_the_one_in_force() -> None:
    documented = {kind: (ours, theirs) for kind, ours, theirs, _ in rows_under("Errors")}
    assert documented == {kind.name: (CONVEYOR_CODES[kind].name, INFERENCE_CODES[kind].name) for kind in ErrorKind}


REQUIRED = {"none required": (), "none serves": ("must",), "all serve": ("must",), "one does not": ("must", "absent")}


class Models:
    """A repository in which some models serve, and `idle` does not."""

    def __init__(self, serving: set[str]) -> None:
        self._serving = serving

    def serving(self) -> dict[str, object]:
        return dict.fromkeys(self._serving)

    def entries(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in sorted(self._serving | {"idle"})]


@pytest.mark.parametrize("row", list(rows_under("Live and ready")), ids=" / ".join)
def test_the_table_of_readiness_is_the_one_in_force(row: list[str]) -> None:
    server, required, others, whole, serving, idle = row

    @in_loop
    async def check() -> None:
        names = {"must"} if required in ("all serve", "one does not") else set()
        names |= {"other"} if others == "some serve" else set()
        models = Models(names)
        health = Health(models, REQUIRED[required], may_be_empty="explicit" in server)  # type: ignore[arg-type]  # enough of a repository
        if "workers" in server:
            health.hold()
        if server == "draining":
            health.drain()
        assert {Status.ServingStatus.Name(health.status(name)) for name in WHOLE_SERVER} == {whole}
        found = {Status.ServingStatus.Name(health.status(name)) for name in names} or {"-"}
        assert found == {serving}
        assert Status.ServingStatus.Name(health.status("idle")) == idle
        assert health.status("nobody") == Status.SERVICE_UNKNOWN

    check()


def test_every_file_and_flag_that_it_names_exists() -> None:
    text = README.read_text()
    names = {name.replace("_", "-") for name in ServerSettings.model_fields}
    flags = {f"--{name}" for name in names} | {f"--no-{name}" for name in names} | {"--help", "--config"}
    assert set(re.findall(r"--[a-z-]+", text.replace("-" * 3, ""))) <= flags
    for name in re.findall(r"`([a-z_/]+\.py)`", text):
        assert list(CODE.rglob(name)), name
