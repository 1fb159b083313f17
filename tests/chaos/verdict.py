"""One fault from the server's start to its end, and the table of what became of the calls."""

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from tritonclient.utils import InferenceServerException

from tests.chaos.answers import RightAnswers
from tests.chaos.callers import Callers
from tests.chaos.faults import BrokenError, Fault
from tests.chaos.scene import Scene, Setting
from tests.chaos.tally import SLOW_SECONDS, Tally
from tests.server.process import ServerProcess

COLUMNS = ("answered", "refused", "cancelled", "lost", "wrong", "stranded", "slow")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one fault did. `skipped` says why it was not caused."""

    fault: str
    setting: Setting
    tally: Tally
    broken: str = ""
    skipped: str = ""

    @property
    def is_good(self) -> bool:
        """Whether no call was lost, wrong or stranded, and everything held that had to."""
        tally = self.tally
        return not (self.broken or tally.lost or tally.wrong or tally.stranded)

    @property
    def in_words(self) -> str:
        """The last column."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        return "good" if self.is_good else "; ".join(filter(None, (self.broken, *self.tally.examples)))


async def try_fault(fault: Fault, setting: Setting, seconds: float) -> Verdict:
    """Starts a server, lets callers ask for `seconds`, causes the fault, and lets them ask for as long again."""
    skipped = fault.why_not(setting)
    if skipped is not None:
        return Verdict(fault=fault.name, setting=setting, tally=Tally(), skipped=skipped)
    with fault.place() as repository:
        right = RightAnswers()
        right.write(repository, 1)
        flags = ("--engine", setting.engine, "--workers", str(setting.workers), *fault.flags)
        with fault.around(repository, setting):
            server = ServerProcess(repository, *flags)
        try:
            return await _with_server(fault, setting, server, repository, right, seconds)
        finally:
            server.stop()


async def _with_server(
    fault: Fault, setting: Setting, server: ServerProcess, repository: Path, right: RightAnswers, seconds: float
) -> Verdict:
    server.wait_until_serving()
    broken = ""
    async with Callers(server.address, right) as callers:
        scene = Scene(setting=setting, server=server, repository=repository, right=right, callers=callers)
        try:
            await callers.until_answered(round(100 * seconds))
            await fault.act(scene)
            if fault.survives:
                await callers.until_answered(round(100 * seconds))
        except (BrokenError, TimeoutError, InferenceServerException) as error:
            broken = str(error)
    tally = callers.tally
    if not fault.may_refuse and tally.refused:
        tally.note_lost(f"{tally.refused} calls were refused, and this fault is no reason to")
    if fault.survives and not broken and server.stop() != 0:
        broken = "the server left accepted calls unanswered when it was stopped afterwards"
    return Verdict(fault=fault.name, setting=setting, tally=tally, broken=broken)


def table_of(verdicts: list[Verdict]) -> Table:
    """A row for each."""
    table = Table(title=f"faults under load; slow: an answer that took more than {SLOW_SECONDS:.0f} s")
    for name in ("fault", "engine", "workers"):
        table.add_column(name)
    for name in (*COLUMNS, "longest ms"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for verdict in verdicts:
        counts = [str(getattr(verdict.tally, name)) for name in COLUMNS]
        longest = f"{1000 * verdict.tally.longest_seconds:.0f}"
        setting = verdict.setting
        table.add_row(verdict.fault, setting.engine, str(setting.workers), *counts, longest, verdict.in_words)
    return table
