"""Finding a model by its name and version, and saying in this wire's words why there is none."""

from __future__ import annotations

from conveyor_server.entry import Entry
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.model import Model
from conveyor_server.repository import Repository
from conveyor_server.shortening import shortened


def find_model(repository: Repository, name: str, version: str) -> Model:
    """The model that answers; an empty version means the one that serves. Raises ServingError."""
    try:
        return repository.find(name, version)
    except ServingError as error:
        raise _in_protocol_words(error, repository, name, version) from error


def find_entry(repository: Repository, name: str, version: str) -> Entry:
    """The index's entry, loaded or not. Raises ServingError when there is none."""
    try:
        return repository.entry(name, version)
    except ServingError as error:
        raise _in_protocol_words(error, repository, name, version) from error


def is_known(repository: Repository, name: str) -> bool:
    """Whether the repository holds a model of this name, ready or not."""
    return any(entry.name == name for entry in repository.entries())


def _in_protocol_words(error: ServingError, repository: Repository, name: str, version: str) -> ServingError:
    subject = f"Request for unknown model: '{shortened(name)}'"
    if error.kind is ErrorKind.INVALID_ARGUMENT:
        message = f"failed to get model version from specified version string '{shortened(version)}' for model '{name}'"
        return ServingError(error.kind, f"{message}: it is not a positive whole number")
    if not repository.is_known:
        return error
    if not is_known(repository, name):
        return ServingError(ErrorKind.NOT_FOUND, f"{subject} is not found")
    if not version:
        return ServingError(ErrorKind.NOT_FOUND, f"{subject} has no available versions")
    if error.kind is ErrorKind.NOT_FOUND:
        return ServingError(error.kind, f"{subject} version {version} is not found")
    return ServingError(error.kind, f"{subject} version {version} is not at ready state")
