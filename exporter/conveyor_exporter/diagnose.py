"""Why a network cannot become a graph, in a sentence that names the line and the remedy. Needs torch."""

import logging
import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from conveyor_exporter.errors import ConversionError

_STACK_LINE = re.compile(
    r'File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)[ \t]*\n[ \t]+(?P<code>[^\n]*)'
)
_SPECIALISED = re.compile(r"specialized it to be a constant \((\d+)\)")
_OPERATOR = re.compile(r"OpOverload\(op='([^']+)'")
_NOT_THE_CALLERS = re.compile(r"[/\\](torch|conveyor_exporter|logging)[/\\]|traceback\.py$")
_BATCH_WORDS = ("batch", "Constraints violated", "specialized")
_DATA_DEPENDENT_WORDS = ("data-dependent", "Data-dependent", "unbacked", "GuardOnDataDependent", "Dynamic control flow")


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A line of the caller's code."""

    file: str
    line: int
    function: str
    code: str

    def __str__(self) -> str:
        code = f": {self.code}" if self.code else ""
        return f"{self.file}, line {self.line}, in {self.function}{code}"


def explain_trace_failure(
    error: Exception, serving: nn.Module, example: torch.Tensor, shapes: tuple[Any, ...]
) -> ConversionError:
    """What torch.export's error means."""
    text = str(error)
    if any(word in f"{type(error).__name__} {text}" for word in _DATA_DEPENDENT_WORDS):
        return ConversionError(
            "control_flow",
            f"the network decides by the data that flows through it{_at(_place_in(text))}; a graph cannot branch so: "
            "use torch.where, or torch.cond, over whole tensors.",
        )
    if any(word in text for word in _BATCH_WORDS):
        place = _fixing_place(serving, example, shapes)
        size = _SPECIALISED.search(text)
        fixed = f"fixes its batch size to {size.group(1)}" if size else "works for some batch sizes only"
        return ConversionError(
            "batch_axis",
            f"the network {fixed}{_at(place)}; use torch.flatten(x, 1) or x.shape[0] itself, never a number or "
            "int(), len() or .item() of a size.",
        )
    return ConversionError(
        "conversion", f"torch.export cannot trace the network{_at(_place_in(text))} ({_first_line(error)})."
    )


def explain_onnx_failure(error: Exception) -> ConversionError:
    """What torch.onnx.export's error means."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and isinstance(cause, Exception):
        chain.append(cause)
    for link in reversed(chain):
        operator = _OPERATOR.search(str(link))
        if operator:
            return ConversionError(
                "operators",
                f"the operator {operator.group(1)} has no ONNX form; use another one in the network's forward.",
            )
    return ConversionError("conversion", f"the network cannot be written as ONNX ({_first_line(chain[-1])}).")


class _GuardWatcher(logging.Handler):
    """Sees torch note that it has fixed a size, and remembers which line of the caller's code was running then."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.place: _Place | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.place is None and "[guard added]" in record.getMessage():
            frames = [frame for frame in traceback.extract_stack() if not _NOT_THE_CALLERS.search(frame.filename)]
            if frames:
                self.place = _place(frames[-1].filename, frames[-1].lineno, frames[-1].name, frames[-1].line)


def _fixing_place(serving: nn.Module, example: torch.Tensor, shapes: tuple[Any, ...]) -> _Place | None:
    """Traces once more, now watching for the line that fixes the batch size."""
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level, watcher = logger.level, _GuardWatcher()
    logger.setLevel(logging.INFO)
    logger.addHandler(watcher)
    try:
        torch.export.export(serving, (example,), dynamic_shapes=shapes, strict=False)
    except Exception:  # the same one that is being explained
        return watcher.place
    finally:
        logger.removeHandler(watcher)
        logger.setLevel(level)
    return watcher.place


def _place_in(text: str) -> _Place | None:
    """The innermost line of a stack in the text that is neither torch's nor ours."""
    places = [
        _place(match["path"], int(match["line"]), match["function"], match["code"])
        for match in _STACK_LINE.finditer(text)
        if not _NOT_THE_CALLERS.search(match["path"])
    ]
    return places[-1] if places else None


def _place(path: str, line: int | None, function: str, code: str | None) -> _Place:
    return _Place(file=Path(path).name, line=line or 0, function=function, code=(code or "").strip())


def _at(place: _Place | None) -> str:
    return f" ({place})" if place else ""


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
