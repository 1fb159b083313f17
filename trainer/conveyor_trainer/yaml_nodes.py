"""YAML as nodes, which know their lines: what plain loading would lose."""

from __future__ import annotations

from typing import Any

import yaml


def compose(text: str) -> yaml.Node | None:
    """The document's node, None where there is none. Raises yaml.YAMLError, also for a key that comes twice: loading
    would take the last one and say nothing."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    _check_keys(root, set())
    return root


def plain(node: yaml.Node) -> Any:
    """What loading gives for the node."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def value_node(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The node under the key of a mapping."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return value  # type: ignore[no-any-return]  # the nodes' values are untyped lists
    return None


def _check_keys(node: yaml.Node | None, seen: set[int]) -> None:
    if node is None or isinstance(node, yaml.ScalarNode) or id(node) in seen:
        return
    seen.add(id(node))  # an alias stands for a node that was looked at, or for one that holds it
    keys: set[str] = set()
    for entry in node.value:
        key, value = entry if isinstance(node, yaml.MappingNode) else (None, entry)
        if isinstance(key, yaml.ScalarNode):
            if key.value in keys:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} comes twice", problem_mark=key.start_mark)
            keys.add(key.value)
        _check_keys(value, seen)
