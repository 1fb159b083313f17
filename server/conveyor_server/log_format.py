"""The log's two forms: lines for people, and JSON, one object a line, for whoever collects logs."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

LogFormat = Literal["text", "json"]

_PLAIN: Final = re.compile(r'[^\s"=\x00-\x1f\x7f]+')
# The parts of a message's template: perhaps a name and "=", and what stands for a value.
_PLACEHOLDERS: Final = re.compile(r"(?:(\w+)=)?%[-+ #0]*\d*(?:\.\d+)?([a-zA-Z%])")


class Fields(dict[str, Any]):
    """Named values that are logged: as words in a line for people, as they are in JSON."""

    def __str__(self) -> str:
        return " ".join(f"{name}={_word(value)}" for name, value in self.items())


class TextFormatter(logging.Formatter):
    """One line an event, and under it the cause of an error. Nobody's input can begin a line of its own."""

    def __init__(self, worker: int | None) -> None:
        who = "" if worker is None else f"worker={worker} "
        super().__init__(f"%(asctime)s %(levelname)s {who}%(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's own name
        """The line."""
        record.message = record.message.replace("\n", "\\n").replace("\r", "\\r")
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, what the message names, and an error's cause."""

    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._common = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """The object, as text without a line's end."""
        line = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._common,
        }
        line = dict(named_values(record)) | line
        if record.exc_info:
            line["cause"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def named_values(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """What a message names: "loaded model=%s" has one value, `model`; a `Fields` has its own."""
    arguments = record.args
    if not isinstance(arguments, tuple):
        # Only one argument, and a mapping: logging hands it over bare.
        arguments = (arguments,) if isinstance(arguments, Mapping) and arguments else ()
    values = iter(arguments)
    for name, kind in _PLACEHOLDERS.findall(str(record.msg)):
        if kind == "%":
            continue
        value = next(values, None)
        if isinstance(value, Fields):
            yield from value.items()
        elif name:
            yield name, value


def formatter(form: LogFormat, worker: int | None) -> logging.Formatter:
    """Of that form; `worker` is the number of the process among several."""
    return JsonFormatter(worker) if form == "json" else TextFormatter(worker)


def _word(value: Any) -> str:
    """The value, in quotes if it could be taken for more than one."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
