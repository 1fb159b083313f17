"""One HTTP request as the handlers of REST see it: its parts, read within limits, and the way to the gRPC methods."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from conveyor_server.calls import CallError, UnaryMethod, answer_unary
from conveyor_server.digits import number_in
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.rest.compression import inflate
from conveyor_server.http.rest.context import HttpContext
from conveyor_server.http.rest.sentences import of_body, of_query
from conveyor_server.http.rest.statuses import TOO_LARGE, TOO_SLOW, HttpError
from conveyor_server.http.services import HttpServices
from conveyor_server.statuses import Code

# Bytes a second at which a body must come, once the first seconds are over.
LEAST_RATE: Final = 64 * 1024

AnyAnswer = TypeVar("AnyAnswer", bound=Message)
# What a method answers is also an answer of any wider type.
Answer_co = TypeVar("Answer_co", bound=Message, covariant=True)
AnyModel = TypeVar("AnyModel", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Procedure(Generic[Answer_co]):
    """A gRPC method: its full path, and what it answers."""

    path: str
    answer: type[Answer_co]


class Exchange:
    """A request that is being answered."""

    def __init__(self, request: Request, services: HttpServices) -> None:
        """Raises CallError or ServingError for a deadline that cannot be read."""
        self._request = request
        self._services = services
        self._context = HttpContext(request)

    @property
    def path(self) -> Mapping[str, str]:
        """The path's parameters."""
        parameters: Mapping[str, str] = self._request.path_params
        return parameters

    @property
    def headers(self) -> Headers:
        """The request's headers."""
        return self._request.headers

    @property
    def media_type(self) -> str:
        """What the body is said to be, without parameters; empty when nothing is said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def answer_headers(self) -> Mapping[str, str]:
        """What the handlers of the gRPC methods add to the answer."""
        return self._context.trailing

    @property
    def max_images(self) -> int:
        """Images that one request may hold."""
        return self._services.settings.max_images_per_request

    def knock(self, procedure: Procedure[Message]) -> None:
        """Before anything is read. Raises ServingError for a caller who may not ask the method, or not so often.

        This counts for the caller's rate; what the request asks for in the end does not again.
        """
        self._services.doors.admit(self._services.methods[procedure.path].group, self._context)

    def query(self, model: type[AnyModel]) -> AnyModel:
        """The query's parameters. Raises ServingError for what is missing, unknown or of the wrong type."""
        try:
            return model.model_validate(dict(self._request.query_params))
        except ValidationError as error:
            raise ServingError(ErrorKind.INVALID_ARGUMENT, of_query(error)) from error

    async def body(self) -> bytes:
        """The whole body, unpacked. Raises HttpError when it is too large or too slow, others when it is broken off."""
        limit = self._services.settings.max_message_bytes
        too_large = HttpError(TOO_LARGE, f"the body has more than {limit} bytes, this server's limit")
        if (number_in(self.headers.get("content-length", "")) or 0) > limit:
            raise too_large
        parts, size = [], 0
        seconds, began = self._services.settings.max_read_seconds, asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(seconds) as patience:
                async for part in self._request.stream():
                    size += len(part)
                    if size > limit:
                        raise too_large
                    parts.append(part)
                    patience.reschedule(began + seconds + size / LEAST_RATE)
        except TimeoutError as error:
            words = f"the body did not come in time: {size} bytes were there, and no more came quickly enough"
            raise HttpError(TOO_SLOW, words) from error
        except ClientDisconnect as error:
            # Nobody reads this.
            raise CallError(Code.CANCELLED, "the caller has gone") from error
        return await inflate(b"".join(parts), self.headers.get("content-encoding", ""), limit)

    async def json(self, model: type[AnyModel]) -> AnyModel:
        """The body's JSON; no body is an empty object. Raises ServingError for what is not what the model says."""
        text = await self.body() or b"{}"
        self.check_json_size(len(text))
        return parse_json(model, text)

    def check_json_size(self, json_bytes: int) -> None:
        """Raises HttpError for more JSON than is parsed here, where others wait meanwhile."""
        limit = self._services.settings.max_json_bytes
        if json_bytes > limit:
            words = f"the JSON has {json_bytes} bytes, over the limit of {limit}; send tensors as binary data"
            raise HttpError(TOO_LARGE, words)

    def knows_model(self, name: str, version: str) -> bool:
        """Whether the repository has it, ready or not."""
        try:
            self._services.repository.entry(name, version)
        except ServingError:
            return False
        return True

    async def ask(self, procedure: Procedure[AnyAnswer], message: Message) -> AnyAnswer:
        """The gRPC method's answer, by the same way as a gRPC call's. Raises CallError."""
        method = self._services.methods[procedure.path]
        assert isinstance(method, UnaryMethod)
        wire = await self._context.carry(answer_unary(method, message.SerializeToString(), self._context))
        return procedure.answer.FromString(wire)


def parse_json(model: type[AnyModel], text: bytes) -> AnyModel:
    """JSON as the model says. Raises ServingError."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ServingError(ErrorKind.INVALID_ARGUMENT, of_body(error)) from error
