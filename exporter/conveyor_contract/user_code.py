"""Finding something in the user's own code: FILE_OR_MODULE:NAME, a path that ends in .py or an importable module."""

import importlib
import importlib.util
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from conveyor_contract.errors import UsageError, UserCodeError


def load_named(reference: str) -> object:
    """The object of that name, the file being run anew. Raises UsageError when it is absent, UserCodeError when the
    code fails."""
    where, separator, name = reference.rpartition(":")
    if not (separator and where and name):
        raise UsageError(f"{reference!r} names no network; write FILE_OR_MODULE:FACTORY, as model.py:build.")
    code = _import(where)
    if not hasattr(code, name):
        near = get_close_matches(name, [word for word in vars(code) if not word.startswith("_")], n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UsageError(f"{where} has no {name!r}{hint}")
    return getattr(code, name)


def call_factory(factory: object, reference: str) -> object:
    """What the factory gives when called without arguments. Raises UserCodeError when it cannot be called or fails."""
    if not callable(factory):
        raise UserCodeError(f"{reference} is a {type(factory).__name__}; expected a function or a torch.nn.Module.")
    try:
        return factory()
    except Exception as error:  # the factory is the user's: anything may come out of it
        words = error_words(error)
        raise UserCodeError(f"{reference}() failed ({words}); it is called without arguments.") from error


def source_of(reference: str) -> bytes:
    """The content of the file that holds what load_named has found; empty where there is no such file."""
    where, _, _ = reference.rpartition(":")
    file = where if where.endswith(".py") else getattr(_import(where), "__file__", None)
    return Path(file).read_bytes() if file else b""


def error_words(error: Exception) -> str:
    """Type and message on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


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
        known = sys.modules.get(path.stem)
        if known is None or getattr(known, "__file__", None) == code.__file__:
            # Dataclasses, among others, look their own module up.
            sys.modules[path.stem] = code
        spec.loader.exec_module(code)
        return code
    except UsageError:
        raise
    except Exception as error:  # as above
        raise UserCodeError(f"{where} cannot be imported ({error_words(error)}).") from error


def _prepend(folder: Path) -> None:
    """Makes what lies beside the user's code importable, as `python FILE` would."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
