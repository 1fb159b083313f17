"""What a user types on the command line for a network's labels, sizes and numbers, read."""

import json
from pathlib import Path

from conveyor_contract.errors import UsageError


def numbers(flag: str, text: str | None) -> tuple[float, ...]:
    """ "0.49,0.48,0.45", or nothing. Raises UsageError."""
    try:
        return tuple(float(number) for number in text.split(",")) if text else ()
    except ValueError as error:
        raise UsageError(f"--{flag} is {text!r}; write one number per channel, as 0.49,0.48,0.45.") from error


def labels(text: str | None) -> tuple[str, ...]:
    """ "a,b,c", or a file: JSON list, or one label a line. Raises UsageError."""
    if not text:
        return ()
    path = Path(text)
    if path.suffix not in (".txt", ".json"):
        return tuple(label.strip() for label in text.split(","))
    try:
        content = path.read_text(encoding="utf-8")
        found = json.loads(content) if path.suffix == ".json" else content.splitlines()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"--labels names {text}, which cannot be read ({error}).") from error
    if not isinstance(found, list):
        raise UsageError(f'--labels names {text}, which holds no list; write ["a", "b"], or one label a line.')
    return tuple(str(label).strip() for label in found if str(label).strip())


def sizes(text: str) -> tuple[int, ...]:
    """ "3x224x224" or "2x1000"; the settings have seen to the form."""
    return tuple(int(size) for size in text.split("x"))
