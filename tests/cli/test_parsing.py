"""Settings from flags, environment and file: names, precedence and messages."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from conveyor_cli.parsing import parse_settings
from conveyor_contract.errors import UsageError


class Settings(BaseModel):
    images: Annotated[list[Path], "positional"] = Field(description="Files to read")
    batch_size: int = Field(default=8, gt=0, description="Rows a batch, at most 100 % of memory")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="Where to run")
    shuffle: bool = Field(default=True, description="Mix the rows")
    extras: list[str] = Field(default=[], description="More names")
    model: str | None = Field(default=None, description="The model's name")
    json_: bool = Field(default=False, description="Print JSON")


SUMMARY = "Tests parsing."
EXAMPLE = "conveyor example a.png --batch-size 4"


def parse(*arguments: str) -> Settings:
    settings = parse_settings("example", Settings, arguments, summary=SUMMARY, example=EXAMPLE)
    assert settings is not None
    return settings


def refusal(*arguments: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(*arguments)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def test_flags_are_kebab_case_and_may_stand_between_positionals() -> None:
    settings = parse("a.png", "--batch-size", "4", "b,c.png", "--no-shuffle", "--json", "--device=cuda")
    assert settings.images == [Path("a.png"), Path("b,c.png")]
    assert (settings.batch_size, settings.shuffle, settings.json_, settings.device) == (4, False, True, "cuda")


def test_a_list_option_takes_several_values_and_may_be_repeated() -> None:
    assert parse("a.png", "--extras", "x", "y", "--extras", "z").extras == ["x", "y", "z"]


def test_flags_beat_the_environment_which_beats_the_file_which_beats_defaults(
    monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    config.write_text("batch_size: 2\ndevice: cuda\nmodel: from-file\nimages: [f.png]\n")
    monkeypatch.setenv("CONVEYOR_EXAMPLE_BATCH_SIZE", "3")
    monkeypatch.setenv("CONVEYOR_EXAMPLE_MODEL", "from-environment")
    settings = parse("--config", str(config), "--model", "from-flag")
    assert (settings.batch_size, settings.model, settings.device) == (3, "from-flag", "cuda")
    assert settings.images == [Path("f.png")]
    assert settings.shuffle is True


def test_the_file_may_name_settings_as_flags_do(config: Path) -> None:
    config.write_text("batch-size: 5\njson: true\n")
    settings = parse("a.png", "--config", str(config))
    assert (settings.batch_size, settings.json_) == (5, True)


def test_variables_without_the_prefix_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL", "stray")
    monkeypatch.setenv("BATCH_SIZE", "99")
    assert parse("a.png").model is None
    assert parse("a.png").batch_size == 8


def test_lists_in_the_environment_are_json_or_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_EXAMPLE_EXTRAS", '["x", "y"]')
    assert parse("a.png").extras == ["x", "y"]
    monkeypatch.setenv("CONVEYOR_EXAMPLE_EXTRAS", "x,y")
    assert parse("a.png").extras == ["x,y"]


def test_a_missing_positional_is_named() -> None:
    assert refusal() == "IMAGES is missing (see conveyor example --help)"


def test_a_wrong_value_names_the_flag_and_the_value() -> None:
    assert refusal("a.png", "--batch-size", "many").startswith("--batch-size: input should be a valid integer")
    assert "not 'many'" in refusal("a.png", "--batch-size", "many")
    assert "'cpu' or 'cuda'" in refusal("a.png", "--device", "tpu")


def test_a_wrong_value_names_the_variable_or_the_file(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    monkeypatch.setenv("CONVEYOR_EXAMPLE_BATCH_SIZE", "0")
    assert refusal("a.png").startswith("CONVEYOR_EXAMPLE_BATCH_SIZE: input should be greater than 0")
    monkeypatch.delenv("CONVEYOR_EXAMPLE_BATCH_SIZE")
    config.write_text("batch_size: -1\n")
    assert refusal("a.png", "--config", str(config)).startswith(f"{config}: batch-size: ")


def test_every_wrong_value_has_a_line() -> None:
    assert refusal("--batch-size", "x", "--device", "y").count("\nerror: ") == 2


def test_an_unknown_option_gets_the_nearest_match() -> None:
    assert "no option --batchsize; did you mean --batch-size?" in refusal("a.png", "--batchsize=3")


def test_an_option_without_its_value_is_refused() -> None:
    assert "--batch-size" in refusal("a.png", "--batch-size")


@pytest.mark.parametrize(
    ("content", "message"),
    [("[1, 2]", "must hold NAME: VALUE lines"), ("a: [", "is not YAML"), ("batch_sizes: 3", "batch-size?")],
)
def test_a_bad_file_is_refused(config: Path, content: str, message: str) -> None:
    config.write_text(content)
    assert message in refusal("a.png", "--config", str(config))


def test_a_missing_file_is_refused(config: Path) -> None:
    assert "No such file" in refusal("a.png", "--config", str(config))


def test_help_shows_defaults_choices_and_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_settings("example", Settings, ["--help"], summary=SUMMARY, example=EXAMPLE) is None
    printed = capsys.readouterr().out
    for text in ("--batch-size", "100 %", "(default: 8)", "{cpu,cuda}", "--no-shuffle", "(default: on)"):
        assert text in printed
    for text in ("(required)", EXAMPLE, SUMMARY, "CONVEYOR_EXAMPLE_NAME", "--config", "--json"):
        assert text in printed
