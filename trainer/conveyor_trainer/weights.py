"""Weights as safetensors files: no pickle, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from conveyor_trainer.errors import RunError


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """ "sha256:<hex>" over names, types, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return "sha256:" + digest.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes beside the target and renames, so that no reader ever sees half a file."""
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, dict(metadata or {}))
    write_whole(path, content)


def write_whole(path: Path, content: bytes) -> None:
    """Replaces the file in one step. Raises RunError when the disk does not take it; the old file then stays."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RunError(f"cannot write {path}: {error}; nothing that was there before is lost") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata. Raises RunError when the file is absent or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot read the weights in {path}: {error}") from error


def read_weights(path: Path, module: nn.Module, *, expected_digest: str | None = None) -> None:
    """Loads the file into the module. Raises RunError when names or shapes differ, or the digest does."""
    tensors, _ = read_tensors(path)
    if expected_digest is not None and weights_digest(tensors) != expected_digest:
        raise RunError(f"the weights in {path} are not those of the run's report: the file was changed or replaced")
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError(f"the weights in {path} belong to another architecture: {error}") from error
