"""Finding a network in the user's own code: FILE_OR_MODULE:FACTORY. Needs torch."""

import importlib
import importlib.util
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from torch import nn

from conveyor_contract.errors import UsageError
from conveyor_exporter.errors import ExportError


def load_module(reference: str) -> nn.Module:
    """The network that FACTORY, a function without arguments or a torch.nn.Module, gives.

    FILE is a path that ends in .py; MODULE an importable name. Raises UsageError or ExportError.
    """
    where, separator, name = reference.rpartition(":")
    if not (separator and where and name):
        raise UsageError(f"{reference!r} names no network; write FILE_OR_MODULE:FACTORY, as model.py:build.")
    code = _import(where)
    if not hasattr(code, name):
        near = get_close_matches(name, [word for word in vars(code) if not word.startswith("_")], n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UsageError(f"{where} has no {name!r}{hint}")
    found = getattr(code, name)
    network = found if isinstance(found, nn.Module) else _call(found, reference)
    if not isinstance(network, nn.Module):
        raise ExportError(f"{reference} gives a {type(network).__name__}; expected a torch.nn.Module.")
    return network


def _call(factory: object, reference: str) -> object:
    if not callable(factory):
        raise ExportError(f"{reference} is a {type(factory).__name__}; expected a function or a torch.nn.Module.")
    try:
        return factory()
    except Exception as error:  # the factory is the user's: anything may come out of it
        raise ExportError(f"{reference}() failed ({_words(error)}); it is called without arguments.") from error


def _import(where: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            _prepend(Path.cwd())
            return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise UsageError(f"there is no file {where}.")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None  # a path that ends in .py always has a loader
        assert spec.loader is not None
        _prepend(path.resolve().parent)
        code = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(code)
        return code
    except UsageError:
        raise
    except Exception as error:  # as above
        raise ExportError(f"{where} cannot be imported ({_words(error)}).") from error


def _prepend(folder: Path) -> None:
    """Makes what lies beside the user's code importable, as `python FILE` would."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
