"""From a command line, the environment and a YAML file to a command's settings.

Precedence: flags, then CONVEYOR_<COMMAND>_<FIELD>, then --config FILE, then the defaults. The settings class says
all there is to say: a field's name is its flag in kebab-case (a trailing underscore is dropped, for names such as
`json_` that pydantic keeps for itself), its description the help, `Annotated[TYPE, "positional"]` makes it a
positional. Values go to pydantic as they were written.
"""

import argparse
import contextlib
import difflib
import json
import os
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from conveyor_contract.errors import UsageError

S = TypeVar("S", bound=BaseModel)
Fields = Mapping[str, FieldInfo]

_POSITIONAL = "positional"
_METAVARS: dict[Any, str] = {int: "N", float: "NUMBER", Path: "PATH"}


@dataclass(frozen=True)
class _Value:
    """One setting as it was written, and where: a flag, a variable or a line of the file."""

    value: Any
    origin: str


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are a UsageError."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parse_settings(
    command: str, settings_class: type[S], arguments: Sequence[str], *, summary: str, example: str
) -> S | None:
    """The command's settings, or None when --help was asked for and has been printed.

    Raises UsageError, one line for each thing that is wrong.
    """
    fields = settings_class.model_fields
    parser = _build_parser(command, fields, summary, example)
    given, unknown = parser.parse_known_intermixed_args(arguments)
    if given.help:
        parser.print_help()
        return None
    if unknown:
        parser.error(_unknown_arguments(unknown, [f"--{_kebab(name)}" for name in fields]))
    values = _from_file(given.config, fields) if given.config else {}
    values |= _from_environment(command, fields)
    values |= _from_flags(given, fields)
    try:
        return settings_class(**{name: value.value for name, value in values.items()})
    except ValidationError as error:
        problems = [_problem(details, fields, values) for details in error.errors(include_url=False)]
        raise UsageError("\nerror: ".join(problems) + f" (see {parser.prog} --help)") from None


def _build_parser(command: str, fields: Fields, summary: str, example: str) -> _Parser:
    parser = _Parser(
        prog=f"conveyor {command}",
        description=summary,
        epilog=f"example:\n  {example}\n\nEvery setting can also come from the environment as"
        f" {_variable(command, 'NAME')}\nor from a YAML file of NAME: VALUE lines given with --config;"
        " flags come first, then the environment.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    for name, field in fields.items():
        _add_argument(parser, name, field)
    parser.add_argument("--config", metavar="FILE", help="YAML file with settings by name")
    parser.add_argument("-h", "--help", action="store_true", help="show this help and exit")
    return parser


def _add_argument(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    options: dict[str, Any] = {"help": _help(field)}
    if _POSITIONAL in field.metadata:
        # Whether one is missing is pydantic's question: it may come from the environment or the file.
        options |= {"nargs": "*" if _is_list(field) else "?", "metavar": _display(name, field)}
        parser.add_argument(name, **options)
        return
    if _is_bool(field):
        options["action"] = argparse.BooleanOptionalAction
    else:
        options["metavar"] = _metavar(name, field)
        if _is_list(field):
            options |= {"nargs": "+", "action": "extend"}
    parser.add_argument(f"--{_kebab(name)}", dest=name, default=None, **options)


def _help(field: FieldInfo) -> str:
    text = field.description or ""
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        text += " (required)"
    elif isinstance(default, bool):
        text += f" (default: {'on' if default else 'off'})"
    elif default is not None and default not in ("", [], ()):
        text += f" (default: {getattr(default, 'value', default)})"
    return text.replace("%", "%%")


def _metavar(name: str, field: FieldInfo) -> str:
    for kind in _kinds(field.annotation):
        if get_origin(kind) is Literal:
            return "{" + ",".join(str(choice) for choice in get_args(kind)) + "}"
        if kind in _METAVARS:
            return _METAVARS[kind]
    return _kebab(name).rpartition("-")[2].upper()


def _kinds(annotation: Any) -> list[Any]:
    """The members of a union, or the type itself."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [kind for member in get_args(annotation) for kind in _kinds(member)]
    return [annotation]


def _is_list(field: FieldInfo) -> bool:
    return any(get_origin(kind) in (list, tuple, set, frozenset) for kind in _kinds(field.annotation))


def _is_bool(field: FieldInfo) -> bool:
    return bool in _kinds(field.annotation)


def _kebab(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _display(name: str, field: FieldInfo) -> str:
    return _kebab(name).upper() if _POSITIONAL in field.metadata else f"--{_kebab(name)}"


def _variable(command: str, name: str) -> str:
    return f"CONVEYOR_{command}_{name.rstrip('_')}".upper()


def _from_flags(given: argparse.Namespace, fields: Fields) -> dict[str, _Value]:
    flags = {name: _Value(getattr(given, name), _display(name, field)) for name, field in fields.items()}
    return {name: value for name, value in flags.items() if value.value is not None and value.value != []}


def _from_environment(command: str, fields: Fields) -> dict[str, _Value]:
    values = {}
    for name, field in fields.items():
        variable = _variable(command, name)
        if variable in os.environ:
            text = os.environ[variable]
            values[name] = _Value(_list_in_text(text) if _is_list(field) else text, variable)
    return values


def _list_in_text(text: str) -> Any:
    """A list is written as JSON, or as one plain item."""
    if text.startswith("["):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return [text]


def _from_file(path: str, fields: Fields) -> dict[str, _Value]:
    names = {_kebab(name): name for name in fields}
    values = {}
    for key, value in _read_yaml(Path(path)).items():
        flag = str(key).replace("_", "-")
        if flag not in names:
            raise UsageError(f"--config: {path} has no such setting: {key}{_nearest(flag, names)}")
        values[names[flag]] = _Value(value, f"{path}: {flag}")
    return values


def _read_yaml(path: Path) -> dict[Any, Any]:
    # Only here: most command lines name no file.
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config: cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"--config: {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"--config: {path} must hold NAME: VALUE lines, one for each setting")
    return content


def _unknown_arguments(unknown: Sequence[str], flags: Sequence[str]) -> str:
    first = unknown[0].partition("=")[0]
    if not first.startswith("-"):
        return f"unexpected argument {first!r}"
    return f"there is no option {first}{_nearest(first, flags)}"


def _nearest(word: str, words: Sequence[str] | Mapping[str, str]) -> str:
    near = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _problem(details: ErrorDetails, fields: Fields, values: Mapping[str, _Value]) -> str:
    """One sentence for one of pydantic's complaints."""
    message = details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if not details["loc"]:
        return message
    name = str(details["loc"][0])
    if details["type"] == "missing":
        return f"{_display(name, fields[name])} is missing"
    origin = values[name].origin if name in values else f"--{_kebab(name)}"
    if details["type"] in ("value_error", "assertion_error"):
        return f"{origin}: {message}"
    return f"{origin}: {message[:1].lower()}{message[1:]}, not {details['input']!r}"
