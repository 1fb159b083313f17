"""`/v1/classify`: image files in, labels out, by Classify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.rest.bodies import ClassifyQuery
from conveyor_server.http.rest.exchange import Exchange, Procedure
from conveyor_server.http.rest.form import FORM, FormFile, files_of
from conveyor_server.http.rest.infer_answer import JSON
from conveyor_server.http.rest.messages import Json, json_of
from conveyor_server.http.rest.operation import Operation, json_content, json_response
from conveyor_server.http.rest.schemas import BYTES_OF_A_FILE, NUMBER, TEXT, list_of, optional, record, schema_of
from conveyor_server.http.rest.statuses import HTTP_STATUSES, WRONG_FORM, HttpError
from conveyor_server.service import SERVICE
from conveyor_server.statuses import Code

CLASSIFY: Final = Procedure(path=f"/{SERVICE}/Classify", answer=pb.ClassifyResponse)

_RESULT: Final = optional(
    record(image=TEXT),
    predictions=list_of(schema_of(pb.Prediction)),
    values=list_of(NUMBER),
    error=TEXT,
    status={"type": "integer"},
)
_ANSWER: Final = record(
    model_name=TEXT,
    model_version=TEXT,
    file_digest=TEXT,
    request_id=TEXT,
    timings=schema_of(pb.Timings),
    results=list_of(_RESULT),
)


async def classify(exchange: Exchange) -> Response:
    """Each image's most probable labels. A lone image's error is the request's own."""
    asked = exchange.query(ClassifyQuery)
    if not exchange.knows_model(asked.model, asked.version):
        # The method says so, whatever the body holds.
        await exchange.ask(CLASSIFY, pb.ClassifyRequest(model_name=asked.model, model_version=asked.version))
    files = await _files(exchange)
    request = pb.ClassifyRequest(
        model_name=asked.model,
        model_version=asked.version,
        top_k=asked.top_k,
        timeout_ms=asked.timeout_ms,
        request_id=asked.request_id,
        images=[pb.Image(encoded=file.content) for file in files],
    )
    return json_response(_answer(await exchange.ask(CLASSIFY, request), files))


async def _files(exchange: Exchange) -> list[FormFile]:
    """The form's files; without a form the body itself is one, whatever its type is said to be."""
    if exchange.media_type == JSON:
        words = f"this takes images, not JSON: send files as {FORM}, or one image's bytes as the body"
        raise HttpError(WRONG_FORM, words)
    body = await exchange.body()
    if exchange.media_type == FORM:
        return await files_of(body, exchange.headers, exchange.max_images)
    if not body:
        words = f"the body is empty; send files as {FORM}, or one image's bytes as the body"
        raise ServingError(ErrorKind.INVALID_ARGUMENT, words)
    return [FormFile(name="", content=body)]


def _answer(answer: pb.ClassifyResponse, files: Sequence[FormFile]) -> Json:
    pairs = zip(files, answer.results, strict=True)
    return {
        "model_name": answer.model_name,
        "model_version": answer.model_version,
        "file_digest": answer.file_digest,
        "request_id": answer.request_id,
        "timings": json_of(answer.timings),
        "results": [{"image": file.name, **_result(result)} for file, result in pairs],
    }


def _result(result: pb.Result) -> Json:
    """The labels, the values of a model without labels, or the error with the status that it would have alone."""
    if result.HasField("error"):
        return {"error": result.error.message, "status": HTTP_STATUSES[Code(result.error.code)]}
    answer = json_of(result.answer)
    return {name: content for name, content in answer.items() if content}


def classify_operations() -> list[Operation]:
    """Classification of images."""
    files = {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}}
    return [
        Operation(
            verb="POST",
            path="/v1/classify",
            name="classify",
            summary="Classifies images: the files of a form, or the body itself",
            procedure=CLASSIFY,
            handler=classify,
            answer=json_content(_ANSWER),
            query=ClassifyQuery,
            other_bodies={FORM: files, "image/*": BYTES_OF_A_FILE, "application/octet-stream": BYTES_OF_A_FILE},
        )
    ]
