"""Transfer learning: a network starts from weights that were trained before; its head is made anew."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from conveyor_trainer.errors import RunError
from conveyor_trainer.run_files import WEIGHTS_FILE
from conveyor_trainer.weights import read_tensors, weights_digest


def weights_file(run_or_file: Path) -> Path:
    """The weights of a run, or the file itself. Raises RunError when there are none."""
    path = run_or_file / WEIGHTS_FILE if run_or_file.is_dir() else run_or_file
    if not path.is_file():
        raise RunError(f"there are no weights to begin with at {path}: give a finished run or a .safetensors file")
    return path


def initial_weights_digest(run_or_file: Path) -> str:
    """ "sha256:<hex>" of the weights to begin with. Raises RunError."""
    return weights_digest(read_tensors(weights_file(run_or_file))[0])


def take_weights(module: nn.Module, run_or_file: Path) -> None:
    """Puts trained weights into all but the head. Raises RunError naming what is missing or has another shape."""
    path = weights_file(run_or_file)
    tensors, _ = read_tensors(path)
    wanted = module.state_dict()
    anew = {f"{layer}." for layer in _head_and_after(module)}
    taken = {}
    for name, fresh in wanted.items():
        if name.startswith(tuple(anew)):
            continue
        if name not in tensors or tensors[name].shape != fresh.shape:
            found = f"has the shape {tuple(tensors[name].shape)} there" if name in tensors else "is absent there"
            raise RunError(
                f"the weights in {path} are of another architecture: {name} {found} and {tuple(fresh.shape)} here"
            )
        taken[name] = tensors[name]
    module.load_state_dict(wanted | taken)


def head_name(module: nn.Module) -> str:
    """The last layer that has weights, which answers: the only one that depends on the classes."""
    layers = module.named_modules()
    return str([name for name, layer in layers if any(True for _ in layer.parameters(recurse=False))][-1])


def _head_and_after(module: nn.Module) -> list[str]:
    names = [name for name, _ in module.named_modules()]
    return names[names.index(head_name(module)) :]


def freeze_backbone(module: nn.Module, *, frozen: bool) -> None:
    """Lets only the head learn, or everything again. A frozen batch norm keeps its figures too.

    Sets the module to training mode.
    """
    head = head_name(module)
    module.train()
    for name, layer in module.named_modules():
        if name == head:
            continue
        if not any(True for _ in layer.children()):
            layer.train(not frozen)
        for parameter in layer.parameters(recurse=False):
            parameter.requires_grad_(not frozen)
