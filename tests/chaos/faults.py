"""The faults, each as an operator, a disk, a clock or a caller causes it, and what has to hold afterwards."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from conveyor.v1 import classifier_pb2 as pb
from tests.chaos import clock, places
from tests.chaos.answers import MODEL
from tests.chaos.scene import Scene, Setting
from tests.server.envoy.test_hanging import count_to, how_many_take, write_loop_model

EXPLICIT = ("--model-control-mode", "explicit", "--load-model", "*")
POLL = ("--model-control-mode", "poll", "--repository-poll-seconds", "0.1")
RELOADS = 3


class BrokenError(Exception):
    """What had to hold after the fault, and does not."""


def nothing_stops_it(setting: Setting) -> str | None:
    """For faults that can be caused everywhere."""
    return None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault. `may_refuse`: whether callers may be told to ask again; else that counts as lost."""

    name: str
    act: Callable[[Scene], Awaitable[None]]
    may_refuse: bool = False
    flags: tuple[str, ...] = EXPLICIT
    # Makes the repository's folder.
    place: Callable[[], AbstractContextManager[Path]] = places.plain
    # Stands around the server's start.
    around: Callable[[Path, Setting], AbstractContextManager[None]] = clock.ordinary
    # Why it cannot be caused here; None if it can.
    why_not: Callable[[Setting], str | None] = nothing_stops_it
    # Whether the server lives on.
    survives: bool = True


async def stop(scene: Scene) -> None:
    """SIGTERM: what was accepted is answered, the rest is refused, and the exit code says so."""
    scene.server.signal(signal.SIGTERM)
    code = await asyncio.to_thread(scene.server.wait, 60)
    if code != 0:
        raise BrokenError(f"exit code {code}: the server left accepted calls unanswered")


async def kill_a_worker(scene: Scene) -> None:
    """SIGKILL of one worker: another takes its place."""
    # The last one started.
    os.kill(scene.processes()[-1], signal.SIGKILL)
    await scene.wait_for_log("serves in its place")


async def hung_worker(scene: Scene) -> None:
    """SIGSTOP of one worker, for good: its parent notices and ends it, and another takes its place."""
    os.kill(scene.processes()[-1], signal.SIGSTOP)
    await scene.wait_for_log("serves in its place")


async def freeze(scene: Scene) -> None:
    """SIGSTOP of every process for a while: calls are late, and that is all."""
    scene.signal_all(signal.SIGSTOP)
    await asyncio.sleep(1.5)
    scene.signal_all(signal.SIGCONT)


async def reload(scene: Scene) -> None:
    """New versions, one after the other; the files of the old ones go away."""
    for version in range(2, 2 + RELOADS):
        scene.right.write(scene.repository, version)
        await scene.load()
        await scene.callers.until_version(version)
        shutil.rmtree(scene.repository / MODEL / str(version - 1))


async def unload(scene: Scene) -> None:
    """The model goes, its callers are refused, and it comes back."""
    refused = scene.callers.tally.refused
    await scene.unload()
    await scene.callers.until(lambda: scene.callers.tally.refused > refused, "refusals of an unloaded model")
    await scene.load()


async def corrupt(scene: Scene) -> None:
    """A newer version of which a label was altered: refused with the reason, and the old one serves on."""
    path = scene.right.write(scene.repository, 2)
    path.write_bytes(path.read_bytes().replace(b'"class 1"', b'"class X"'))
    await refused_load(scene)
    index = scene.server.stub.ListModels(pb.ListModelsRequest(), timeout=10).models
    (reason,) = [model.reason for model in index if model.model_version == "2"]
    if "altered" not in reason or str(scene.repository) in reason:
        raise BrokenError(f"the index does not say why version 2 does not serve, but {reason!r}")


async def full_disk(scene: Scene) -> None:
    """A version is copied onto a disk that has no room for all of it; later there is."""
    with places.plain() as elsewhere:
        source = scene.right.write(elsewhere, 2)
        target = scene.repository / MODEL / "2" / "model.onnx"
        target.parent.mkdir()
        places.fill(scene.repository, keep=source.stat().st_size // 2)
        try:
            shutil.copyfile(source, target)
        except OSError:
            await refused_load(scene)
        else:
            raise BrokenError("the disk was not full")
        places.empty(scene.repository)
        shutil.copyfile(source, target)
    await scene.load()
    await scene.callers.until_version(2)


async def slow_disk(scene: Scene) -> None:
    """A version arrives in pieces, over seconds, under the eyes of a server that polls."""
    with places.plain() as elsewhere:
        data = scene.right.write(elsewhere, 2).read_bytes()
    target = scene.repository / MODEL / "2" / "model.onnx"
    target.parent.mkdir()
    piece = len(data) // 12 + 1
    with target.open("wb") as file:
        for start in range(0, len(data), piece):
            file.write(data[start : start + piece])
            file.flush()
            await asyncio.sleep(0.2)
            if "2" in scene.callers.tally.versions:
                raise BrokenError("half a version answered")
    await scene.callers.until_version(2)


async def clock_jump(scene: Scene) -> None:
    """The wall clock leaps ahead by a year and then back behind where it was."""
    for days in (365, -30):
        clock.set_ahead(scene.repository, days)
        await asyncio.sleep(clock.SECONDS)
        await scene.callers.until_answered()
        scene.right.write(scene.repository, 2)
        await scene.load()
        year = time.gmtime(time.time() + 86_400 * days).tm_year
        month = time.gmtime(time.time() + 86_400 * days).tm_mon
        if f"{year}-{month:02d}-" not in scene.server.log:
            raise BrokenError("the server's clock did not jump")


async def hung_session(scene: Scene) -> None:
    """A run of another model hangs: its caller is refused, that model is not ready, and nobody else notices."""

    def hang() -> None:
        with triton.InferenceServerClient(scene.server.address) as client:
            times = how_many_take(client, 4.0)
            try:
                count_to(client, times, 60)
            except InferenceServerException as error:
                if "--max-run-seconds" not in str(error):
                    raise BrokenError(f"the caller of a run that hangs was told {error}") from None
            else:
                raise BrokenError("a run that hangs was waited for")

    hanging = asyncio.create_task(asyncio.to_thread(hang))
    await scene.wait_for_log("not ready model=loop")
    await hanging
    await scene.wait_for_log("runs again model=loop")


async def cancelled_callers(scene: Scene) -> None:
    """Many callers leave before they are answered; those who stay are answered."""
    await scene.callers.cancel_some(seconds=3.0)
    if not scene.callers.tally.cancelled:
        raise BrokenError("nobody was quick enough to leave")


async def refused_load(scene: Scene) -> None:
    """A load that must fail, with a reason."""
    try:
        await scene.load()
    except InferenceServerException as error:
        if "Traceback" in str(error):
            raise BrokenError(f"a traceback reached the caller: {error}") from None
    else:
        raise BrokenError("a bad version was loaded")


def no_worker(setting: Setting) -> str | None:
    """Where the only process is the server itself."""
    alone = setting.engine == "grpcio" and setting.workers == 1
    return "the server is one process, and has no worker to lose" if alone else None


def one_worker_is_enough(setting: Setting) -> str | None:
    """The watchdog of each worker is the same."""
    return None if setting.workers == 1 else "each worker has a watchdog of its own"


def with_a_loop(folder: Path, setting: Setting) -> AbstractContextManager[None]:
    """A repository in which a model can be made to hang."""
    write_loop_model(folder)
    return clock.ordinary(folder, setting)


FAULTS = (
    Fault(name="stop", act=stop, may_refuse=True, flags=(*EXPLICIT, "--drain-delay", "0.2"), survives=False),
    Fault(name="kill a worker", act=kill_a_worker, may_refuse=True, why_not=no_worker),
    Fault(
        name="hung worker",
        act=hung_worker,
        may_refuse=True,
        flags=(*EXPLICIT, "--max-worker-silence-seconds", "3"),
        why_not=no_worker,
    ),
    Fault(name="freeze", act=freeze),
    Fault(name="reload", act=reload),
    Fault(name="unload", act=unload, may_refuse=True),
    Fault(name="corrupt version", act=corrupt),
    Fault(name="full disk", act=full_disk, place=places.small_disk, why_not=lambda setting: places.why_no_small_disk()),
    Fault(name="slow disk", act=slow_disk, flags=POLL),
    Fault(name="clock jump", act=clock_jump, around=clock.can_jump, why_not=clock.why_no_jump),
    Fault(
        name="hung session",
        act=hung_session,
        flags=(*EXPLICIT, "--max-run-seconds", "1", "--instance-count", "1"),
        around=with_a_loop,
        why_not=one_worker_is_enough,
    ),
    Fault(name="cancelled callers", act=cancelled_callers),
)
