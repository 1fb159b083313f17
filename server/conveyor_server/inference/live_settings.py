"""LogSettings: what is logged can be changed while the server runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.shortening import shortened

_LOGGER: Final = "conveyor_server"
_LEVELS: Final = {"log_error": logging.ERROR, "log_warning": logging.WARNING, "log_info": logging.INFO}
_FIXED_LOG_SETTINGS: Final = {"log_file": "", "log_format": "default"}

LogSetting = pb.LogSettingsRequest.SettingValue
LogSettingMap = Mapping[str, LogSetting]


def change_log_level(settings: LogSettingMap) -> None:
    """Applies what is given: a level includes all that are graver. Raises ServingError, and changes nothing then."""
    logger = logging.getLogger(_LOGGER)
    given = {name: _log_value(name, setting) for name, setting in settings.items() if _is_given(setting)}
    if not given:
        return
    wanted = {**_current_levels(logger.getEffectiveLevel()), **{name: given[name] for name in given if name in _LEVELS}}
    shown = [name for name in _LEVELS if wanted[name]]
    if shown != list(_LEVELS)[: len(shown)]:
        message = "a level can only be logged together with all that are graver: log_error, log_warning, log_info"
        raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
    verbose = given.get("log_verbose_level", int(logger.getEffectiveLevel() <= logging.DEBUG))
    if verbose and len(shown) == len(_LEVELS):
        logger.setLevel(logging.DEBUG)
    else:
        logger.setLevel(_LEVELS[shown[-1]] if shown else logging.CRITICAL + 1)


def log_settings() -> pb.LogSettingsResponse:
    """What is logged now."""
    level = logging.getLogger(_LOGGER).getEffectiveLevel()
    response = pb.LogSettingsResponse()
    for name, shown in _current_levels(level).items():
        response.settings[name].bool_param = shown
    response.settings["log_verbose_level"].uint32_param = int(level <= logging.DEBUG)
    for name, value in _FIXED_LOG_SETTINGS.items():
        response.settings[name].string_param = value
    return response


def _current_levels(level: int) -> dict[str, bool]:
    return {name: level <= threshold for name, threshold in _LEVELS.items()}


def _is_given(setting: LogSetting) -> bool:
    """Clients send a setting without a value to leave it as it is."""
    return setting.WhichOneof("parameter_choice") is not None


def _log_value(name: str, setting: LogSetting) -> int:
    kind = setting.WhichOneof("parameter_choice")
    if name in _LEVELS and kind == "bool_param":
        return setting.bool_param
    if name == "log_verbose_level" and kind == "uint32_param":
        return setting.uint32_param
    if name in _FIXED_LOG_SETTINGS and kind == "string_param":
        if setting.string_param == _FIXED_LOG_SETTINGS[name]:
            return 0
        message = f"log setting '{name}' cannot be changed: the log goes to stderr, in one form"
        raise ServingError(ErrorKind.UNSUPPORTED, message)
    known = ", ".join([*_LEVELS, "log_verbose_level", *_FIXED_LOG_SETTINGS])
    raise ServingError(
        ErrorKind.INVALID_ARGUMENT,
        f"log setting '{shortened(name)}' is unknown or of the wrong type; there are {known}",
    )
