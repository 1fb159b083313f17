"""The configuration that a caller gives with a load: the parts of it that this server lets a caller choose."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from google.protobuf import json_format

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.loading import LoadOptions
from conveyor_server.shortening import first_of, shortened

# What a configuration may say without changing anything: the rest of a model stands in its file.
_IGNORED: Final = frozenset({"name", "backend", "platform", "default_model_filename", "input", "output", "parameters"})
_HONOURED: Final = frozenset({"max_batch_size", "dynamic_batching", "instance_group"})
MAX_INSTANCES: Final = 64


def options_with(options: LoadOptions, name: str, text: str) -> LoadOptions:
    """The options with a configuration's choices. Raises ServingError for one that cannot be honoured."""
    given, config = _parse(text)
    unknown = sorted(given.keys() - _HONOURED - _IGNORED)
    if unknown:
        raise ServingError(
            ErrorKind.UNSUPPORTED, f"a load's config may set {sorted(_HONOURED)}; not {first_of(unknown)}"
        )
    if config.name not in ("", name):
        raise _invalid(f"the config is for model '{shortened(config.name)}', and '{name}' is to be loaded")
    if config.max_batch_size < 0:
        raise _invalid(f"max_batch_size is {config.max_batch_size}; expected at least 1, or 0 for the model's own")
    return _with_batching(replace(options, max_batch_size=config.max_batch_size), config, _instances(config))


def _with_batching(options: LoadOptions, config: pb.ModelConfig, instances: int) -> LoadOptions:
    if instances:
        options = replace(options, instance_count=instances)
    if config.HasField("dynamic_batching"):
        batching = config.dynamic_batching
        rows = batching.default_queue_policy.max_queue_size or options.max_queue_size
        delay = batching.max_queue_delay_microseconds / 1_000_000
        timeout = batching.default_queue_policy.default_timeout_microseconds / 1_000_000 or options.default_timeout
        options = replace(options, max_queue_delay=delay, max_queue_size=rows, default_timeout=timeout)
    return options


def _instances(config: pb.ModelConfig) -> int:
    """How many instances are asked for; 0 for no wish."""
    counts = [group.count or 1 for group in config.instance_group]
    if any(count < 1 for count in counts) or sum(counts) > MAX_INSTANCES:
        raise _invalid(f"instance_group asks for {first_of(counts)} instances; expected 1 to {MAX_INSTANCES}")
    return sum(counts)


def _parse(text: str) -> tuple[dict[str, Any], pb.ModelConfig]:
    try:
        given = json.loads(text)
        return dict(given), json_format.ParseDict(given, pb.ModelConfig(), ignore_unknown_fields=True)
    except (ValueError, TypeError, AttributeError, json_format.ParseError) as error:
        raise _invalid(f"the config is not a model configuration in JSON ({shortened(str(error))})") from error


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)
