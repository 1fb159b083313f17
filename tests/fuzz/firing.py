"""Sends shots at a real server, and looks at how each call ends and at what it left behind."""

import re
import time
import urllib.request
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import grpc
import tritonclient.grpc as triton

from tests.fuzz.messages import Shot
from tests.fuzz.methods import WATCH
from tests.server.process import START_SECONDS, ServerProcess
from tests.soak.sampling import look_at

AT_ONCE = 16
# Seconds that a call may take, and of a call that has no end by itself.
DEADLINE = 20.0
WATCH_SECONDS = 0.05
# Nobody may see these: they are how a server says that it did not know what to do.
FORBIDDEN = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)
BETRAYALS = re.compile(
    r"Traceback|\.py\b|File \"|internal error|site-packages|object at 0x|Socket closed|reset by peer|hard limit"
)
MODELS = ("tiny", "colour")


def fire(server: ServerProcess, shots: Iterable[Shot]) -> None:
    """Sends them all, some at a time. Fails with the shot after which something was not as it should be."""
    with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        rest = iter(shots)
        while group := list(islice(rest, AT_ONCE)):
            started = time.monotonic()
            calls = [(shot, _send(channel, shot)) for shot in group]
            for shot, call in calls:
                check_end(server, shot, _end_of(shot, call), time.monotonic() - started)


def check_end(server: ServerProcess, shot: Shot, error: grpc.RpcError | None, seconds: float) -> None:
    """How a call may end: with an answer, or with a code and a sentence that gives nothing away."""
    if error is None:
        return
    said = f"{error.code()} {error.details()}"
    about = f"{shot.rpc.path} {[payload.hex() for payload in shot.payloads]}: {said}"
    assert error.code() not in FORBIDDEN, about
    assert not BETRAYALS.search(said), about
    assert str(server.repository) not in said, about
    if shot.rpc.path != WATCH:
        assert error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED or seconds < DEADLINE / 2, about


def heal(server: ServerProcess) -> None:
    """Undoes what a lucky shot may have done: an unloaded model, a silenced log, a traffic rule."""
    with triton.InferenceServerClient(server.address) as client:
        for name in MODELS:
            client.load_model(name)
        client.update_log_settings({"log_error": True, "log_warning": True, "log_info": True})
        client.unregister_system_shared_memory()


def wait_until_idle(server: ServerProcess) -> None:
    """Returns once nothing is queued or in flight. Fails when something stays."""
    end = time.monotonic() + START_SECONDS
    while left := _left_in(server):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def resident_mib(pids: Sequence[int]) -> float:
    """Of all these processes together."""
    total = 0.0
    for pid in pids:
        sample = look_at(pid)
        assert sample is not None, f"process {pid} has gone"
        total += sample.resident_mib
    return total


def wait_until_small(pids: Sequence[int], mib: float) -> None:
    """Returns once the processes have at most so much; what huge images took goes back in the course of seconds."""
    end = time.monotonic() + START_SECONDS
    while (now := resident_mib(pids)) > mib:
        assert time.monotonic() < end, f"{now:.0f} MiB, and at most {mib:.0f} were expected"
        time.sleep(0.2)


def _send(channel: grpc.Channel, shot: Shot) -> Any:
    path = shot.rpc.path
    if shot.rpc.is_stream:
        stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
        return stream(iter(shot.payloads), timeout=WATCH_SECONDS if path == WATCH else DEADLINE)
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    return call.future(shot.payloads[0], timeout=DEADLINE)


def _end_of(shot: Shot, call: Any) -> grpc.RpcError | None:
    """The error with which the call ended, or None; answers are read to their end."""
    try:
        if shot.rpc.is_stream:
            for _ in call:
                pass
        else:
            call.result()
    except grpc.RpcError as error:
        return error
    return None


def _left_in(server: ServerProcess) -> list[str]:
    """Lines of the metrics page that tell of work that is not over."""
    with urllib.request.urlopen(f"http://{server.http_address}/metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    counted = [line for line in lines if re.match(r"conveyor_(queue_rows|in_flight_requests)\{", line)]
    assert counted, "the metrics that this looks at have other names now"
    return [line for line in counted if float(line.rsplit(" ", 1)[1]) != 0.0]
