"""`python -m conveyor_client.probe`: whether a server is ready, as an exit code, for container health checks.

The address, and what TLS needs, come from the environment, because a health check is written before they are known:

| variable                   |                                                                                    |
|----------------------------|------------------------------------------------------------------------------------|
| CONVEYOR_PROBE_ADDRESS     | HOST:PORT; without it this machine and CONVEYOR_SERVE_PORT, or 8001                |
| CONVEYOR_PROBE_MODEL       | ask for this model instead of the server as a whole                                |
| CONVEYOR_PROBE_CA          | PEM file of whom to trust: asks for TLS                                            |
| CONVEYOR_PROBE_CERTIFICATE | PEM file of the probe's own certificate, for mutual TLS; its key is ..._KEY        |
| CONVEYOR_PROBE_SERVER_NAME | the name in the server's certificate                                               |
"""

import os
import sys
from collections.abc import Mapping

from conveyor_client.client import Client
from conveyor_client.connection import Connection
from conveyor_client.errors import ConveyorClientError

_TIMEOUT = 3.0  # seconds


def main(environment: Mapping[str, str] = os.environ) -> int:
    """0 when the server, or the model asked for, is ready; else 1, and the reason on stderr."""
    address = environment.get("CONVEYOR_PROBE_ADDRESS") or f"127.0.0.1:{environment.get('CONVEYOR_SERVE_PORT', '8001')}"
    model = environment.get("CONVEYOR_PROBE_MODEL", "")
    connection = Connection(
        root_certificates=environment.get("CONVEYOR_PROBE_CA"),
        certificate=environment.get("CONVEYOR_PROBE_CERTIFICATE"),
        key=environment.get("CONVEYOR_PROBE_KEY"),
        server_name=environment.get("CONVEYOR_PROBE_SERVER_NAME", ""),
    )
    try:
        with Client(address, timeout=_TIMEOUT, max_attempts=1, connection=connection) as client:
            if client.ready(model):
                return 0
    except ConveyorClientError as error:
        sys.stderr.write(f"{address}: {error}\n")
        return 1
    sys.stderr.write(f"{address}: {model or 'the server'} is not ready\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
