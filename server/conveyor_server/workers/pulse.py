"""Whether a worker still takes turns: its parent asks it again and again."""

from __future__ import annotations

import asyncio
from typing import Final

from conveyor_server.workers.link import Kind, Link, LinkClosedError

# So many questions in a row stay unanswered before a worker counts as silent. One alone may be this process's own
# fault: the whole machine may have stood still.
QUESTIONS: Final = 6


async def until_silent(link: Link, seconds: float) -> None:
    """Returns once the worker has answered nothing for so long; never where it ends before."""
    patience = seconds / QUESTIONS
    missed = 0
    while missed < QUESTIONS:
        try:
            async with asyncio.timeout(patience):
                await link.ask(Kind.PULSE)
        except TimeoutError:
            missed += 1
        except LinkClosedError:
            await asyncio.Event().wait()
        else:
            missed = 0
            await asyncio.sleep(patience)
