"""Reads and writes architectures as YAML, with errors that name the layer and the line.

A layer is its type alone (`- flatten`) or its type with settings (`- conv2d: {filters: 32, kernel_size: 3}`).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from conveyor_trainer.architecture import Architecture
from conveyor_trainer.errors import ArchitectureError, UnknownNameError
from conveyor_trainer.layers import LAYER_TYPES, Layer, Residual, settings_of
from conveyor_trainer.nearest import nearest
from conveyor_trainer.yaml_nodes import compose, plain, value_node


def ready_made_architectures() -> tuple[str, ...]:
    """The names of the architectures that come with the package."""
    folder = resources.files("conveyor_trainer") / "architectures"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir()))


def find_architecture(name_or_path: str) -> Architecture:
    """A ready-made architecture by name, or one from a .yaml file.

    Raises UnknownNameError with the nearest match, or ArchitectureError naming layer and line.
    """
    if name_or_path in ready_made_architectures():
        entry = resources.files("conveyor_trainer") / "architectures" / f"{name_or_path}.yaml"
        return parse_architecture(entry.read_text(encoding="utf-8"), source=entry.name)
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return read_architecture(path)
    names = ready_made_architectures()
    raise UnknownNameError(
        f"there is no architecture named {name_or_path!r}{nearest(name_or_path, names)}; "
        f"ready-made are {', '.join(names)}, or give the path of a .yaml file"
    )


def read_architecture(path: Path) -> Architecture:
    """Reads one file. Raises ArchitectureError naming the file, the layer and the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArchitectureError(f"cannot read the architecture file {path}: {error}") from error
    return parse_architecture(text, source=str(path))


def parse_architecture(text: str, *, source: str) -> Architecture:
    """Parses YAML text; `source` names it in errors."""
    try:
        root = compose(text)
        content = plain(root) if root else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ArchitectureError(f"{source}{line}: this is not YAML: {problem}") from error
    if not isinstance(root, yaml.MappingNode) or not isinstance(content, dict):
        raise ArchitectureError(f"{source}: expected a mapping with the keys name, input and layers")
    layers = value_node(root, "layers")
    if isinstance(layers, yaml.SequenceNode):
        content["layers"] = _layers(layers, source)
    try:
        return Architecture.model_validate(content)
    except ValidationError as error:
        raise ArchitectureError(f"{source}{_explain(error, content)}") from error


def dump_architecture(architecture: Architecture) -> str:
    """The YAML that parse_architecture reads back as the same architecture."""
    head = architecture.model_dump(mode="json", exclude={"layers"}, exclude_defaults=True)
    head["layers"] = [_spelled(layer) for layer in architecture.layers]
    return yaml.safe_dump(head, sort_keys=False, default_flow_style=None, width=110)


def _layers(nodes: yaml.SequenceNode, source: str) -> list[dict[str, Any]]:
    return [_layer(node, source) for node in nodes.value]


def _layer(node: yaml.Node, source: str) -> dict[str, Any]:
    """{"type", "line", ...settings} from `conv2d` or from `conv2d: {...}`."""
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        kind, settings = str(node.value), None
    elif isinstance(node, yaml.MappingNode) and len(node.value) == 1:
        kind, settings = str(node.value[0][0].value), node.value[0][1]
    else:
        raise ArchitectureError(
            f"{source} line {line}: a layer reads `- flatten` or `- conv2d: {{filters: 32, kernel_size: 3}}`"
        )
    if kind not in LAYER_TYPES:
        raise ArchitectureError(
            f"{source} line {line}: there is no layer {kind!r}{nearest(kind, LAYER_TYPES)}; "
            f"layers are {', '.join(LAYER_TYPES)}"
        )
    content = plain(settings) if settings is not None else None
    if content is not None and not isinstance(content, dict):
        raise ArchitectureError(f"{source} line {line}: the settings of {kind} must be a mapping such as {{rate: 0.5}}")
    inner = value_node(settings, "layers")
    if content and isinstance(inner, yaml.SequenceNode):
        content["layers"] = _layers(inner, source)
    return {**(content or {}), "type": kind, "line": line}


def _explain(error: ValidationError, content: dict[str, Any]) -> str:
    """The first problem, in one sentence, with its line and layer. Sits right behind the file's name."""
    problem = error.errors()[0]
    entry: Any = content
    layer: dict[str, Any] | None = None
    fields: list[str] = []
    for part in problem["loc"]:
        if isinstance(entry, list) and isinstance(part, int):
            entry = entry[part]
            layer = entry
            fields = []
        elif isinstance(entry, dict) and part in entry and part != entry.get("type"):
            fields.append(str(part))
            entry = entry[part]
        elif isinstance(entry, dict) and part != entry.get("type"):
            fields.append(str(part))
    place = f" line {layer['line']}: {layer['type']}" if layer else ""
    field = fields[0] if fields and fields[0] != "layers" else ""
    if problem["type"] == "extra_forbidden":
        name = str(problem["loc"][-1])
        known = settings_of(layer["type"]) if layer else tuple(Architecture.model_fields)
        return f"{place}: there is no setting {name!r}{nearest(name, known)}; there are {', '.join(known)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {field + ': ' if field else ''}{message}"


def _spelled(layer: Layer) -> str | dict[str, Any]:
    settings = {
        key: value[0] if isinstance(value, list) and len(set(value)) == 1 else value
        for key, value in layer.model_dump(mode="json", exclude={"type", "layers"}, exclude_defaults=True).items()
    }
    settings = {key: value for key, value in settings.items() if value != type(layer).model_fields[key].default}
    if isinstance(layer, Residual):
        settings["layers"] = [_spelled(inner) for inner in layer.layers]
    return {layer.type: settings} if settings else layer.type
