"""`/v2/logging` and `/v2/trace/setting`: what can be changed while the server runs."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import Message
from starlette.responses import Response

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.rest.bodies import UINT32_MAX, SettingsBody
from conveyor_server.http.rest.exchange import Exchange, Procedure
from conveyor_server.http.rest.operation import Content, Handler, Operation, json_content, json_response
from conveyor_server.http.rest.schemas import map_of
from conveyor_server.inference import SERVICE
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.shortening import shortened

LOG_SETTINGS: Final = Procedure(path=f"/{SERVICE}/LogSettings", answer=pb.LogSettingsResponse)
TRACE_SETTING: Final = Procedure(path=f"/{SERVICE}/TraceSetting", answer=pb.TraceSettingResponse)

# The one setting that is a list in JSON.
_TRACE_LEVEL: Final = "trace_level"


async def log_settings(exchange: Exchange) -> Response:
    """What is logged."""
    return await _log_response(exchange, pb.LogSettingsRequest())


async def change_log_settings(exchange: Exchange) -> Response:
    """What is logged after the change."""
    request = pb.LogSettingsRequest()
    for name, value in (await exchange.json(SettingsBody)).root.items():
        _write_log_setting(request.settings[name], name, value)
    return await _log_response(exchange, request)


async def trace_settings(exchange: Exchange) -> Response:
    """What is traced."""
    return await _trace_response(exchange, pb.TraceSettingRequest())


async def change_trace_settings(exchange: Exchange) -> Response:
    """What is traced after the change."""
    request = pb.TraceSettingRequest()
    for name, value in (await exchange.json(SettingsBody)).root.items():
        request.settings[name].value.extend(_trace_values(name, value))
    return await _trace_response(exchange, request)


async def _log_response(exchange: Exchange, request: pb.LogSettingsRequest) -> Response:
    settings = (await exchange.ask(LOG_SETTINGS, request)).settings
    kinds = {name: settings[name].WhichOneof("parameter_choice") for name in sorted(settings)}
    return json_response({name: getattr(settings[name], kind) for name, kind in kinds.items() if kind is not None})


async def _trace_response(exchange: Exchange, request: pb.TraceSettingRequest) -> Response:
    request.model_name = exchange.path.get("model_name", "")
    settings = (await exchange.ask(TRACE_SETTING, request)).settings
    return json_response({name: _trace_json(name, list(settings[name].value)) for name in sorted(settings)})


def _write_log_setting(setting: pb.LogSettingsRequest.SettingValue, name: str, value: Any) -> None:
    match value:
        case bool():
            setting.bool_param = value
        case int() if 0 <= value <= UINT32_MAX:
            setting.uint32_param = value
        case str():
            setting.string_param = value
        case _:
            raise _invalid(f"log setting '{shortened(name)}' is not true, false, a whole number of 32 bits or a text")


def _trace_values(name: str, value: Any) -> list[str]:
    """None goes back to the default."""
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        raise _invalid(f"trace setting '{shortened(name)}' is not a text, a list of texts or null")
    return values


def _trace_json(name: str, values: list[str]) -> list[str] | str:
    return values if name == _TRACE_LEVEL else "".join(values)


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)


def settings_operations() -> list[Operation]:
    """Reading is a GET; changing is a POST, which answers with what holds then."""
    logged = json_content(map_of({"type": ["boolean", "integer", "string"]}))
    traced = json_content(map_of({"type": ["array", "string"]}))
    log_handlers = (log_settings, change_log_settings)
    trace_handlers = (trace_settings, change_trace_settings)
    return [
        *_settings("/v2/logging", "log_settings", log_handlers, LOG_SETTINGS, logged),
        *_settings("/v2/trace/setting", "trace_settings", trace_handlers, TRACE_SETTING, traced),
        *_settings(
            "/v2/models/{model_name}/trace/setting", "model_trace_settings", trace_handlers, TRACE_SETTING, traced
        ),
    ]


def _settings(
    path: str, name: str, handlers: tuple[Handler, Handler], procedure: Procedure[Message], answer: Content
) -> list[Operation]:
    read, change = handlers
    words = name.replace("_", " ")
    return [
        Operation(
            verb="GET",
            path=path,
            name=name,
            summary=f"The {words}",
            procedure=procedure,
            handler=read,
            answer=answer,
        ),
        Operation(
            verb="POST",
            path=path,
            name=f"change_{name}",
            summary=f"Changes the {words}",
            procedure=procedure,
            handler=change,
            answer=answer,
            body=SettingsBody,
        ),
    ]
