"""From settings to a job: recipe, network and data, checked that they fit together."""

from __future__ import annotations

import shlex
from pathlib import Path

from conveyor_contract.digests import sha256
from conveyor_contract.errors import UsageError
from conveyor_trainer.architecture_file import find_architecture
from conveyor_trainer.augment import check_augmentation
from conveyor_trainer.config import RunConfig
from conveyor_trainer.data import DataSet, load_data_set
from conveyor_trainer.errors import DataError, RecipeError
from conveyor_trainer.job import Job
from conveyor_trainer.network import Network, build_network
from conveyor_trainer.normalise import measure_normalisation
from conveyor_trainer.recipe import Recipe, changed_recipe, find_recipe
from conveyor_trainer.run_files import CHECKPOINT_FOLDER, configuration_digest
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.shapes import norm_of_single_values, outputs, plan
from conveyor_trainer.transfer import Head, find_head, initial_weights_digest, take_weights
from conveyor_trainer.user_module import UserModule


def prepare(settings: TrainSettings) -> Job:
    """Everything that training needs, checked: recipe, network and data that fit together."""
    config = _config(settings)
    network = _network(settings)
    if config.recipe.augmentation is not None:
        check_augmentation(config.recipe.augmentation, network.input_shape)
    _check_used(settings, config.recipe, network)
    data = load_data_set(config.data_request(network))
    if config.recipe.patience is not None and not len(data.validation):
        raise DataError(
            f"patience needs rows to validate on, but held_out {config.held_out:g} of the {len(data.train):,} training "
            "rows rounds to none in any class: raise held_out in the recipe, give a validation part, or leave "
            "patience out"
        )
    network = _fitted(network, data, config.recipe.batch_size)
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


def _check_used(settings: TrainSettings, recipe: Recipe, network: Network) -> None:
    """Raises RecipeError and UsageError for what would have no effect."""
    if recipe.imbalance != "none" and network.task == "regression":
        raise RecipeError(
            f"imbalance {recipe.imbalance} evens out classes, but the network answers with values: leave it out"
        )
    if settings.skip_unreadable and settings.data != "folder":
        raise UsageError(f"--skip-unreadable is for image files (--data folder), but the data are {settings.data}")
    if settings.data_dir is not None and settings.data == "digits":
        raise UsageError("digits come along with scikit-learn: leave out --data-dir, or name the data set in it")


def _network(settings: TrainSettings) -> Network:
    if settings.module is not None and settings.input_shape is not None:
        task = settings.task or "classification"
        return UserModule(reference=settings.module, input_shape=settings.input_shape, task=task)
    assert settings.architecture is not None  # the settings see to it
    return find_architecture(settings.architecture).with_format(settings.input_size, settings.colour)


def _absolute(reference: str) -> str:
    """The reference as it reads from any folder."""
    where, _, name = reference.rpartition(":")
    return f"{Path(where).resolve()}:{name}" if where.endswith(".py") else reference


def _fitted(network: Network, data: DataSet, batch_size: int) -> Network:
    """The network with as many outputs as the data have. Raises DataError where it is fixed otherwise,
    RecipeError where a batch is too small for it."""
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
    if batch_size == 1 and (name := norm_of_single_values(plan(fitted))) is not None:
        raise RecipeError(f"{name} normalises each value over the rows of a batch: give a batch_size of at least 2")
    return fitted


def _head(network: Network, init_from: Path) -> Head:
    """The layer that is made anew. Raises RunError when the other weights do not fit."""
    module = build_network(network)
    head = find_head(module, network.input_shape)
    take_weights(module, init_from, head)
    return head


def _command(settings: TrainSettings, *extra: str) -> str:
    words = ["conveyor", "train", *([settings.architecture] if settings.architecture else [])]
    for field, value in settings.model_dump(exclude_defaults=True, exclude={"architecture", "resume", "force"}).items():
        words += _flag(field.replace("_", "-"), value)
    return shlex.join([*words, *extra])


def _flag(name: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]
