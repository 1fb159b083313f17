"""Whether Envoy and Python really start together here, found out by starting them: for `conveyor doctor`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from conveyor_server.engines.envoy.able import environment, executable, why_not
from conveyor_server.engines.envoy.call import Receive, Scope, Send
from conveyor_server.engines.envoy.configuration import envoy_configuration, python_filters
from conveyor_server.listening import Listening

TRIAL: Final = f"{__name__}:application"
SECONDS: Final = 30


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Starts, and has nothing to serve."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def problem_with_envoy() -> str | None:
    """Why the engine cannot be used here, in one sentence without its end; None when a trial succeeded.

    Opens no port.
    """
    problem = why_not()
    if problem is not None:
        return problem
    listening = Listening(host="127.0.0.1", port=0, max_message_bytes=1)
    with TemporaryDirectory(prefix="conveyor-") as folder:
        file = Path(folder) / "envoy.json"
        file.write_text(json.dumps(envoy_configuration(listening, python_filters(TRIAL), Path(folder))))
        command = [executable(), "--mode", "validate", "--config-path", str(file), "--log-level", "error"]
        try:
            done = subprocess.run(
                command, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"Envoy does not start ({error})"
    if done.returncode != 0:
        return f"Envoy does not start ({' '.join(done.stderr.split())[-300:]})"
    return None
