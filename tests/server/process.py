"""A real server in a process of its own, for tests: started on a free port, ready when its health RPC says so."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub

START_SECONDS = 60


class ServerProcess:
    """`conveyor serve` on a free port; `log` is what it wrote to stderr so far."""

    def __init__(
        self,
        repository: Path,
        *flags: str,
        credentials: grpc.ChannelCredentials | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """With `credentials` it is reached over TLS; `environment` is added to this process's own."""
        command = [sys.executable, "-c", "from conveyor_cli.main import main; raise SystemExit(main())"]
        self._process = subprocess.Popen(
            [*command, "serve", str(repository), "--port", "0", "--engine", "grpcio", *flags],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.repository = repository
        self.log = ""
        self._found = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        addresses = self.wait_for_log(r"ready address=(\d+\.\d+\.\d+\.\d+:\d+) http=(\S+?):? ")
        self.address = addresses.group(1)
        # host:port; "off" without HTTP.
        self.http_address = addresses.group(2)
        self.channel = (
            grpc.secure_channel(self.address, credentials) if credentials else grpc.insecure_channel(self.address)
        )
        self.stub = ClassifierServiceStub(self.channel)

    def health(self, service: str = "") -> int:
        """The health RPC's answer."""
        check = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        response = check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        return int(response.status)

    def wait_until_serving(self) -> None:
        """Returns once the health RPC says SERVING."""
        end = time.monotonic() + START_SECONDS
        while self.health() != health_pb2.HealthCheckResponse.SERVING:
            assert time.monotonic() < end, f"never ready:\n{self.log}"

    def wait_until_answered(self, request: pb.ClassifyRequest) -> pb.ClassifyResponse:
        """The first answer, however often the server is not there before."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                return self.stub.Classify(request, timeout=10, wait_for_ready=True)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error
                assert time.monotonic() < end, f"never answered:\n{self.log}"

    def wait_for_log(self, pattern: str, times: int = 1) -> re.Match[str]:
        """The first match in the log, or the one of that number, now or within START_SECONDS."""

        def found() -> list[re.Match[str]]:
            return list(re.finditer(pattern, self.log))

        with self._found:
            self._found.wait_for(
                lambda: len(found()) >= times or self._process.poll() is not None, timeout=START_SECONDS
            )
        assert len(found()) >= times, f"{pattern!r} not {times} times in the log:\n{self.log}"
        return found()[times - 1]

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 30) -> int:
        """The exit code."""
        return self._process.wait(timeout)

    def stop(self) -> int:
        """Stops it, by force if need be; the exit code."""
        self.channel.close()
        self.signal()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self.wait()
        finally:
            self._reader.join()
            assert self._process.stderr is not None
            self._process.stderr.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._found:
                self.log += line
                self._found.notify_all()


@contextmanager
def running(
    repository: Path,
    *flags: str,
    credentials: grpc.ChannelCredentials | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """A server for the length of a block, ready at its start."""
    server = ServerProcess(repository, *flags, credentials=credentials, environment=environment)
    try:
        server.wait_until_serving()
        yield server
    finally:
        server.stop()
