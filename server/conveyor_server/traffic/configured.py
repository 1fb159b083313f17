"""Traffic rules as settings write them: `mnist:stable=1,shadow=2,min-agreement=0.95`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from conveyor_server.traffic.rule import Limits, Rule

_LIMITS: Final[Mapping[str, Callable[[str], float]]] = {
    "min-rows": int,
    "min-agreement": float,
    "max-error-share": float,
    "max-latency-ratio": float,
}
_FIELDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "stable": int,
    "canary": int,
    "canary-share": float,
    "shadow": int,
    "shadow-share": float,
    "sticky-key": str,
    **_LIMITS,
}


def parse_rule(text: str) -> tuple[str, Rule]:
    """A model's name and its rule. Raises ValueError, saying what is expected."""
    name, colon, rest = text.partition(":")
    if not name or not colon:
        raise ValueError(f"{text!r} is no traffic rule; expected MODEL:stable=1,shadow=2")
    values = dict(_parsed(item, text) for item in rest.split(","))
    if "stable" not in values:
        raise ValueError(f"{text!r} names no stable version; expected MODEL:stable=1,shadow=2")
    limits = {key.replace("-", "_"): values.pop(key) for key in _LIMITS if key in values}
    rule = Rule(**{key.replace("-", "_"): value for key, value in values.items()}, limits=Limits(**limits))
    problem = rule.problem()
    if problem is not None:
        raise ValueError(f"{text!r}: {problem}")
    return name, rule


def _parsed(item: str, text: str) -> tuple[str, Any]:
    key, _, value = item.partition("=")
    key = key.strip().replace("_", "-")
    if key not in _FIELDS:
        raise ValueError(f"{text!r}: there is no {key!r}; expected one of {', '.join(_FIELDS)}")
    try:
        return key, _FIELDS[key](value.strip())
    except ValueError as error:
        raise ValueError(f"{text!r}: {key} is {value!r}, and no number") from error


def texts_of(value: Any) -> Any:
    """A mapping, as a YAML file may hold it, as texts; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    return [f"{name}:{','.join(f'{key}={each}' for key, each in dict(rule).items())}" for name, rule in value.items()]
