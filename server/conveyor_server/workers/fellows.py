"""What a worker does through its parent, so that the other workers do it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from google.protobuf.message import Message

from conveyor_server.calls import CallContext, MethodTable, UnaryMethod
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.gate import stopping
from conveyor_server.metrics.family import Family, merged
from conveyor_server.traffic.state import TrafficState
from conveyor_server.workers.link import Body, Kind, Link, LinkClosedError
from conveyor_server.workers.shared_calls import SHARED, to_bytes, to_text

# Bytes of a caller's message that goes on to all workers: enough for any name and any configuration.
MAX_PASSED_ON: Final = 1024 * 1024


class Fellows:
    """A ModelControl and a TrafficControl over all workers, and the calls that concern all of them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        # Which of the workers this is.
        self.number = 0
        self._own: dict[str, UnaryMethod] = {}

    async def load(self, name: str, config: str, *, reload: bool) -> None:
        """Every worker loads it, or none does."""
        _check_size((name + config).encode())
        await self._ask(Kind.LOAD, name=name, config=config, reload=reload)

    async def unload(self, name: str) -> None:
        """Every worker unloads it."""
        _check_size(name.encode())
        await self._ask(Kind.UNLOAD, name=name)

    def share(self, methods: MethodTable) -> MethodTable:
        """The methods, of which some now go to every worker."""
        shared: dict[str, UnaryMethod] = {}
        for path in SHARED:
            method = methods[path]
            assert isinstance(method, UnaryMethod)
            self._own[path] = method
            shared[path] = replace(method, handler=_Everywhere(self, path))
        return {**methods, **shared}

    async def answer(self, path: str, payload: bytes) -> bytes:
        """This worker's own answer to a shared call. Raises ServingError."""
        method = self._own[path]
        response = await method.handler(method.request_type.FromString(payload), _NO_CALL)
        return response.SerializeToString()

    async def answer_of_all(self, path: str, payload: bytes) -> bytes:
        """All workers' answer. Raises ServingError."""
        _check_size(payload)
        answer = await self._ask(Kind.EVERYWHERE, path=path, payload=to_text(payload))
        return to_bytes(answer["payload"])

    async def metrics(self) -> list[Family]:
        """What all workers have counted, this one included. Raises ServingError."""
        answer = await self._ask(Kind.METRICS)
        return [Family.from_json(family) for family in answer["families"]]

    async def change_traffic(self, name: str, state: TrafficState) -> None:
        """Every worker takes it over."""
        if state.rule is not None:
            _check_size(state.rule.sticky_key.encode())
        await self._ask(Kind.TRAFFIC, name=name, state=state.to_json())

    async def observed(self, name: str) -> list[Family]:
        """What all workers have seen of the model, among other things."""
        return merged(await self.metrics())

    async def _ask(self, kind: Kind, **body: Any) -> Body:
        try:
            return await self._link.ask(kind, **body)
        except LinkClosedError as error:
            # Without its parent a worker ends.
            raise stopping() from error


def _check_size(message: bytes) -> None:
    """Raises ServingError: what comes from a caller would otherwise be in the way of what the workers have to say."""
    if len(message) > MAX_PASSED_ON:
        text = f"this request concerns all workers, and may have {MAX_PASSED_ON} bytes; it has {len(message)}"
        raise ServingError(ErrorKind.INVALID_ARGUMENT, text)


class _Everywhere:
    """A handler that has every worker answer."""

    def __init__(self, fellows: Fellows, path: str) -> None:
        self._fellows = fellows
        self._path = path

    async def __call__(self, request: Message, context: CallContext) -> _Written:
        return _Written(await self._fellows.answer_of_all(self._path, request.SerializeToString()))


class _Written:
    """An answer that is bytes already."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def SerializeToString(self) -> bytes:  # noqa: N802 -- protobuf's own name
        """The bytes."""
        return self._payload


class _NoCall:
    """Stands for the call of a caller who is at another worker."""

    deadline: float | None = None
    peer = "another worker"
    metadata: Mapping[str, str | bytes] = {}
    certificate_name: str | None = None

    def add_trailing_metadata(self, key: str, value: str) -> None:
        """Goes nowhere."""


_NO_CALL = _NoCall()
