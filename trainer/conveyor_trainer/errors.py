"""What can go wrong in training, as errors whose text is one sentence for the user."""

from conveyor_contract.errors import ConveyorError, UsageError


class TrainerError(ConveyorError):
    """Any failure of the trainer that a user can act on."""


class ArchitectureError(TrainerError):
    """An architecture file that cannot be read, or layers that do not fit together; names layer and line."""


class LayerMisfit(Exception):  # noqa: N818  # never reaches a user: shapes.py turns it into an ArchitectureError
    """A layer that cannot take what comes in; the text does not yet say which layer."""


class DataError(TrainerError):
    """A data set that is missing, truncated or does not fit the architecture; names the file and both numbers."""


class RunError(TrainerError):
    """A run folder that is absent, unfinished, damaged or already taken."""


class TrainingStoppedError(TrainerError):
    """Training was interrupted and its state saved; the text says how to go on."""


class UnknownNameError(UsageError):
    """An architecture, data set or recipe that does not exist; names the nearest match."""


class RecipeError(TrainerError):
    """A recipe that cannot be read, or settings that do not fit together; names file and setting."""
