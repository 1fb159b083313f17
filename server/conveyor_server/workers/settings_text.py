"""A server's settings on their way to a worker. The parent has checked them, so a worker reads them without pydantic,
whose import would be a tenth of its start.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings

_PATH: Final = "path"


def text_of_settings(settings: ServerSettings) -> str:
    """As JSON."""
    return json.dumps(dict(settings), default=_plain)


def settings_of_text(text: str) -> ServerSettings:
    """What `text_of_settings` wrote: the same fields with the same values, and none of pydantic's methods."""
    return cast("ServerSettings", SimpleNamespace(**json.loads(text, object_hook=_value)))


def _plain(value: Any) -> dict[str, str]:
    if not isinstance(value, Path):
        raise TypeError(f"a setting of type {type(value).__name__} cannot go to a worker")
    return {_PATH: str(value)}


def _value(fields: dict[str, Any]) -> Any:
    return Path(fields[_PATH]) if fields.keys() == {_PATH} else fields
