"""What is done to a server while it is soaked: the same things again and again, at even distances."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.chaos import faults
from tests.chaos.answers import MODEL
from tests.chaos.scene import Scene
from tests.soak.sampling import Sampler

Act = Callable[[Scene], Awaitable[None]]


async def replace_version(scene: Scene) -> None:
    """A new version takes the old one's place."""
    versions = sorted(int(folder.name) for folder in (scene.repository / MODEL).iterdir())
    scene.right.write(scene.repository, versions[-1] + 1)
    await scene.load()
    await scene.callers.until_version(versions[-1] + 1)
    for version in versions:
        shutil.rmtree(scene.repository / MODEL / str(version))


async def refuse_a_bad_version(scene: Scene) -> None:
    """A newer version is cut short; the old one serves on."""
    versions = sorted(int(folder.name) for folder in (scene.repository / MODEL).iterdir())
    path = scene.right.write(scene.repository, versions[-1] + 1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    await faults.refused_load(scene)
    shutil.rmtree(path.parent)


async def kill_a_worker(scene: Scene) -> None:
    """SIGKILL of the worker that was started last."""
    before = scene.server.log.count("serves in its place")
    os.kill(scene.processes()[-1], signal.SIGKILL)
    await scene.callers.until(
        lambda: scene.server.log.count("serves in its place") > before, "a worker in the dead one's place"
    )


async def freeze(scene: Scene) -> None:
    """Every process stands still for a moment."""
    scene.signal_all(signal.SIGSTOP)
    await asyncio.sleep(0.5)
    scene.signal_all(signal.SIGCONT)


async def cancel(scene: Scene) -> None:
    """Many callers leave before they are answered."""
    await scene.callers.cancel_some(seconds=1.0)


ACTS: dict[str, Act] = {
    "new version": replace_version,
    "bad version": refuse_a_bad_version,
    "unload and load": faults.unload,
    "freeze": freeze,
    "cancelled callers": cancel,
}


async def again_and_again(scene: Scene, sampler: Sampler, until: float, distance: float) -> None:
    """Each in turn, every `distance` seconds, until the sampler's clock says `until` seconds.

    A worker is killed in the first third only: of what took its place enough is seen afterwards.
    """
    async for name in _in_turn(sampler, until, distance):
        kills = faults.no_worker(scene.setting) is None and sampler.seconds < until / 3
        act = kill_a_worker if name == "freeze" and kills else ACTS[name]
        sampler.note_event(act.__name__)
        await act(scene)


async def _in_turn(sampler: Sampler, until: float, distance: float) -> AsyncIterator[str]:
    while True:
        for name in ACTS:
            await asyncio.sleep(distance)
            if sampler.seconds >= until:
                return
            yield name
