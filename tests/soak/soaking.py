"""One soak: an idle server is looked at, put under load and mischief, and looked at again when it is idle."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tritonclient.utils import InferenceServerException

from tests.chaos.answers import RightAnswers
from tests.chaos.callers import Callers
from tests.chaos.faults import BrokenError
from tests.chaos.scene import Scene, Setting
from tests.chaos.tally import Tally
from tests.server.process import ServerProcess
from tests.soak.faults import again_and_again
from tests.soak.judgement import left_over
from tests.soak.mischief import crowd, look_over_http, send_nonsense
from tests.soak.sampling import Sample, Sampler, connections_to, look_at

# Seconds between two faults: at most, and as a share of the whole.
DISTANCE = 12.0
DISTANCE_SHARE = 0.04
# Seconds of the same traffic before an idle server is looked at for the first time.
MIN_WARM_UP = 30.0
MAX_WARM_UP = 120.0
WARM_UP_SHARE = 0.2
# Seconds for what is left over to go away by itself.
QUIET_SECONDS = 40.0
# Seconds for the callers' own connections to close, which is no part of what is judged.
CLOSING_SECONDS = 60.0
# So many crowds in succession that no thread is started for: then the pools of threads are full.
CALM_CROWDS = 6
MAX_CROWDS = 60


@dataclass(frozen=True, kw_only=True)
class Soaked:
    """What came of it."""

    sampler: Sampler
    tally: Tally
    left_over: list[str]
    broken: str


async def soak(
    setting: Setting, server: ServerProcess, repository: Path, right: RightAnswers, seconds: float
) -> Soaked:
    """For so long, without what comes before and after."""
    distance = min(DISTANCE, DISTANCE_SHARE * seconds)

    def scene_with(callers: Callers) -> Scene:
        return Scene(setting=setting, server=server, repository=repository, right=right, callers=callers)

    # The connection over which the start was waited for; it would go with the worker that has it.
    server.channel.close()
    # What is made only when it is first needed is there afterwards.
    async with _traffic(server, right) as callers:
        warm_up = min(MAX_WARM_UP, max(MIN_WARM_UP, WARM_UP_SHARE * seconds))
        await again_and_again(scene_with(callers), Sampler(), warm_up, distance)
        # Beside all the others a crowd finds fewer threads idle than it does alone.
        await _fill_pools(scene_with(callers))
    early = [f"while warming up: {example}" for example in callers.tally.examples]
    before = await _idle(scene_with(callers), {})
    sampler, broken = Sampler(), ""
    async with _traffic(server, right) as callers:
        scene = scene_with(callers)
        sampling = asyncio.create_task(sampler.run(scene))
        try:
            await again_and_again(scene, sampler, seconds, distance)
        except (BrokenError, TimeoutError, InferenceServerException) as error:
            broken = str(error)
        finally:
            sampling.cancel()
    after = await _idle(scene_with(callers), before)
    found = [*early, *left_over(before, after)]
    return Soaked(sampler=sampler, tally=callers.tally, left_over=found, broken=broken)


@asynccontextmanager
async def _traffic(server: ServerProcess, right: RightAnswers) -> AsyncIterator[Callers]:
    """Callers of every kind, good and bad, over gRPC and HTTP."""
    async with Callers(server.address, right) as callers:
        others = [
            asyncio.create_task(send_nonsense(server.address, callers.tally)),
            asyncio.create_task(look_over_http(server.http_address, callers.tally)),
        ]
        try:
            yield callers
        finally:
            for task in others:
                task.cancel()
            ended = await asyncio.gather(*others, return_exceptions=True)
            for error in ended:
                if not isinstance(error, asyncio.CancelledError):
                    callers.tally.note_lost(f"a caller broke down: {error!r}")


async def _idle(scene: Scene, before: Mapping[str, Sample]) -> dict[str, Sample]:
    """Each part of the server once it has been left alone: when nothing is left over, or after QUIET_SECONDS.

    With its pools of threads full, and no caller of ours connected: else chance would say what an idle worker has, and
    one that took a dead one's place would have less or more than that one for no fault of the server.
    """
    await _fill_pools(scene)
    await _leave(scene.server.address)
    end = time.monotonic() + QUIET_SECONDS
    while True:
        await asyncio.sleep(1.0)
        parts = _parts(scene)
        if time.monotonic() > end or (before and not left_over(before, parts)):
            return parts


async def _leave(address: str) -> None:
    """Until no caller of ours is connected."""
    end = time.monotonic() + CLOSING_SECONDS
    while connected := connections_to(address):
        if time.monotonic() > end:
            raise BrokenError(f"{connected} connections of the soak's own callers are still open")
        # What failed may hold its channel in a circle of references, which nothing else might look for in a quiet time.
        gc.collect()
        await asyncio.sleep(0.2)


async def _fill_pools(scene: Scene) -> None:
    threads: list[int] = []
    calm = 0
    for _ in range(MAX_CROWDS):
        await crowd(scene.server.address, scene.server.http_address)
        now = [sample.threads for sample in _parts(scene).values()]
        calm, threads = (calm + 1 if now == threads else 0), now
        if calm == CALM_CROWDS:
            return


def _parts(scene: Scene) -> dict[str, Sample]:
    """What each process of the server holds now, by the part that it plays."""
    parts = {}
    for number, pid in enumerate(scene.processes()):
        sample = look_at(pid)
        if sample is not None:
            parts["parent" if number == 0 else f"worker {number}"] = sample
    return parts
