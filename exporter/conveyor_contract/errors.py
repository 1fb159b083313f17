"""Errors that a person reads. Each message is one sentence: what was wrong, what was expected, what to do."""


class ConveyorError(Exception):
    """A failure that the user can understand and act on; never a bug of ours."""

    exit_code = 1


class UsageError(ConveyorError):
    """The command or call was wrong in itself: an unknown name, an impossible value."""

    exit_code = 2


class ContractError(ConveyorError):
    """A model file or its contract is missing something, contradicts itself or was altered."""


class ImageError(ConveyorError):
    """An image that cannot be used."""


class UserCodeError(ConveyorError):
    """The user's own code could not be imported, failed, or gave something else than a network."""
