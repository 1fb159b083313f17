"""From settings to a job: recipe, network and data, checked that they fit together."""

from __future__ import annotations

import shlex
from pathlib import Path

from conveyor_contract.digests import sha256
from conveyor_contract.errors import UsageError
from conveyor_trainer.architecture import Architecture
from conveyor_trainer.architecture_file import find_architecture
from conveyor_trainer.augment import check_augmentation
from conveyor_trainer.config import RunConfig
from conveyor_trainer.data import DataSet, load_data_set
from conveyor_trainer.errors import DataError
from conveyor_trainer.job import Job
from conveyor_trainer.network import Network, build_network
from conveyor_trainer.normalise import measure_normalisation
from conveyor_trainer.recipe import Recipe, changed_recipe, find_recipe
from conveyor_trainer.run_files import CHECKPOINT_FOLDER, configuration_digest
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.shapes import outputs
from conveyor_trainer.transfer import Head, find_head, initial_weights_digest, take_weights
from conveyor_trainer.user_module import UserModule


def prepare(settings: TrainSettings) -> Job:
    """Everything that training needs, checked: recipe, network and data that fit together."""
    config = _config(settings)
    network = _network(settings)
    if config.recipe.augmentation is not None:
        check_augmentation(config.recipe.augmentation, network.input_shape)
    if network.task == "regression" and config.recipe.imbalance != "none":
        raise UsageError(f"imbalance {config.recipe.imbalance} is for classes, but the network answers with values")
    data = load_data_set(config.data_request(network))
    network = _fitted(network, data)
    return Job(
        config=config,
        architecture=network,
        data=data,
        normalisation=measure_normalisation(data.train),
        checkpoints=settings.run / CHECKPOINT_FOLDER,
        run_key=sha256("/".join((configuration_digest(config), network.digest(), data.digest)).encode()),
        resume_command=_command(settings, "--resume"),
        head=_head(network, settings.init_from) if settings.init_from else None,
    )


def _config(settings: TrainSettings) -> RunConfig:
    wanted = settings.model_dump(include=set(Recipe.model_fields), exclude_none=True)
    return RunConfig(
        architecture=settings.architecture,
        module=_absolute(settings.module) if settings.module else None,
        module_input=settings.input_shape,
        module_task=settings.task or "classification",
        data=settings.data,
        data_dir=settings.data_dir,
        skip_unreadable=settings.skip_unreadable,
        recipe_name=settings.recipe,
        recipe=changed_recipe(find_recipe(settings.recipe), wanted),
        seed=settings.seed,
        split_seed=settings.split_seed,
        init_from=settings.init_from,
        init_digest=initial_weights_digest(settings.init_from) if settings.init_from else None,
        freeze_epochs=settings.freeze_epochs,
    )


def _network(settings: TrainSettings) -> Network:
    if settings.module is not None and settings.input_shape is not None:
        task = settings.task or "classification"
        return UserModule(reference=settings.module, input_shape=settings.input_shape, task=task)
    assert settings.architecture is not None  # the settings see to it
    return _with_input(find_architecture(settings.architecture), settings)


def _absolute(reference: str) -> str:
    """The reference as it reads from any folder."""
    where, _, name = reference.rpartition(":")
    return f"{Path(where).resolve()}:{name}" if where.endswith(".py") else reference


def _fitted(network: Network, data: DataSet) -> Network:
    """The network with as many outputs as the data have. Raises DataError where it is fixed otherwise."""
    fitted = network.with_classes(data.outputs)
    if isinstance(fitted, UserModule):
        fitted.build()  # which looks at what it answers
        return fitted
    if outputs(fitted) != data.outputs:
        raise DataError(
            f"the architecture {fitted.name} answers with {outputs(fitted)} values, but {data.name} has "
            f"{data.outputs} {'values a row' if data.train.has_values else 'classes'}: write `units: classes` in its "
            "last layer"
        )
    return fitted


def _head(network: Network, init_from: Path) -> Head:
    """The layer that is made anew. Raises RunError when the other weights do not fit."""
    module = build_network(network)
    head = find_head(module, network.input_shape)
    take_weights(module, init_from, head)
    return head


def _with_input(architecture: Architecture, settings: TrainSettings) -> Architecture:
    """The architecture for the size and colour that the settings ask for."""
    height = width = channels = None
    if settings.input_size is not None:
        height, width = (int(size) for size in settings.input_size.split("x"))
    if settings.colour is not None:
        channels = 1 if settings.colour == "grayscale" else 3
    if height is None and channels is None:
        return architecture
    return architecture.with_input(height=height, width=width, channels=channels)


def _command(settings: TrainSettings, *extra: str) -> str:
    words = ["conveyor", "train", *([settings.architecture] if settings.architecture else [])]
    for field, value in settings.model_dump(exclude_defaults=True, exclude={"architecture", "resume", "force"}).items():
        words += _flag(field.replace("_", "-"), value)
    return shlex.join([*words, *extra])


def _flag(name: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]
