"""When a poller asks again for a load that came to nothing, although nothing in the folder has changed."""

from pathlib import Path

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.polling import Poller
from tests.server.scripted import in_loop
from tests.server.test_repository import write


class RefusingControl:
    """Refuses the first loads with errors of these kinds."""

    def __init__(self, *kinds: ErrorKind) -> None:
        self._kinds = list(kinds)
        self.loads = 0
        self.unloads = 0

    async def load(self, name: str, config: str, *, reload: bool) -> None:
        self.loads += 1
        if self._kinds:
            raise ServingError(self._kinds.pop(0), "not now")

    async def unload(self, name: str) -> None:
        self.unloads += 1


@pytest.mark.parametrize(
    ("kind", "loads"), [(ErrorKind.NOT_READY, 3), (ErrorKind.INTERNAL, 3), (ErrorKind.INVALID_ARGUMENT, 1)]
)
def test_a_load_is_asked_for_again_when_its_obstacle_may_have_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: ErrorKind, loads: int
) -> None:
    write(tmp_path)
    control = RefusingControl(kind, kind)

    @in_loop
    async def test() -> None:
        poller = Poller(tmp_path, control)
        for _ in range(5):
            await poller.look()

    test()
    assert control.loads == loads
    # Said once, however often it is asked.
    assert [record.getMessage() for record in caplog.records] == ["model=tiny stays as it is: not now"]


def test_a_model_that_goes_while_its_load_comes_to_nothing_is_unloaded(tmp_path: Path) -> None:
    write(tmp_path, name="goes")
    write(tmp_path, name="stays")
    control = RefusingControl(ErrorKind.NOT_READY)

    @in_loop
    async def test() -> None:
        poller = Poller(tmp_path, control)
        await poller.look()
        (tmp_path / "goes").rename(tmp_path / ".gone")
        await poller.look()

    test()
    assert control.unloads == 1


def test_what_is_forgotten_is_asked_for_again(tmp_path: Path) -> None:
    write(tmp_path)
    control = RefusingControl()

    @in_loop
    async def test() -> None:
        poller = Poller(tmp_path, control)
        await poller.look()
        await poller.look()
        assert control.loads == 1
        poller.forget()
        await poller.look()
        (tmp_path / "tiny").rename(tmp_path / ".gone")
        write(tmp_path, name="other")
        await poller.look()

    test()
    assert (control.loads, control.unloads) == (3, 1)
