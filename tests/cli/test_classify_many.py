"""conveyor classify over many images: lists on standard input, formats, workers, sorting, one line for each failure."""

import csv
import io
import json
import shutil
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from conveyor_cli.main import main
from conveyor_cli.sorting import folder_name
from tests.clients.scripted import LABELS, ScriptedServer


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(150):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(folder / f"{number:03}.png")
    return folder


def expected_label(image: Path) -> str:
    return LABELS[sum(image.read_bytes()) % 3]


def ask(server: ScriptedServer, *arguments: str | Path) -> int:
    return main(["classify", *map(str, arguments), "--url", server.address, "--model", "m"])


@pytest.mark.parametrize("workers", ["1", "3", "16"])
def test_answers_keep_the_images_order(
    server: ScriptedServer, many: Path, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(server, many, "--format", "jsonl", "--workers", workers) == 0
    printed = capsys.readouterr()
    entries = [json.loads(line) for line in printed.out.splitlines()]
    assert [entry["image"] for entry in entries] == [str(path) for path in sorted(many.iterdir())]
    assert all(entry["predictions"][0]["label"] == expected_label(Path(entry["image"])) for entry in entries)
    assert printed.err == ""


def test_a_list_on_standard_input(
    server: ScriptedServer, many: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [str(many / "007.png"), str(many / "003.png")]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*wanted, "", ""])))
    assert ask(server, "-", "--json") == 0
    assert [entry["image"] for entry in json.loads(capsys.readouterr().out)] == wanted
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert ask(server, "-") == 1
    assert capsys.readouterr().err == "error: standard input names no image; expected one path a line\n"


def test_csv_has_a_row_for_each_label_and_each_error(
    server: ScriptedServer, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(server, pictures / "c,d.PNG", "absent.png", "--format", "csv", "--top", "2") == 1
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [(Path(row["image"]).name, row["rank"]) for row in rows] == [
        ("c,d.PNG", "1"),
        ("c,d.PNG", "2"),
        ("absent.png", ""),
    ]
    assert rows[0]["label"] == expected_label(pictures / "c,d.PNG")
    assert float(rows[0]["probability"]) == pytest.approx(0.6)
    assert rows[2]["error"] == "cannot read absent.png: No such file or directory"
    assert printed.err == "error: 1 of 2 images have no answer\n"


def test_json_and_another_format_contradict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "a.png", "--model", "m", "--json", "--format", "csv"]) == 2
    assert "--json and --format csv contradict each other" in capsys.readouterr().err


def test_images_are_sorted_into_folders(
    server: ScriptedServer, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, twin = tmp_path / "sorted", pictures / "more" / "a.png"
    shutil.copy(pictures / "a.png", twin)  # the same image in two places
    for _ in range(2):  # a second run changes nothing
        assert ask(server, pictures, "--sort-into", target) == 0
        found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
        images = [pictures / "a.png", pictures / "b.png", pictures / "c,d.PNG", pictures / "more/e.png"]
        assert found == {f"{expected_label(image)}/{image.name}" for image in images}
    assert capsys.readouterr().err.startswith("next: ")


def test_two_images_of_one_name_are_both_kept(server: ScriptedServer, tmp_path: Path) -> None:
    contents = {bytes([1, 0]), bytes([4, 0]), bytes([1, 3])}
    for number, content in enumerate(contents):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.png").write_bytes(content)
    assert ask(server, *(tmp_path / str(number) for number in range(3)), "--sort-into", tmp_path / "sorted") == 0
    assert {path.read_bytes() for path in (tmp_path / "sorted" / "one").iterdir()} == contents


def test_a_folder_that_cannot_be_written(
    server: ScriptedServer, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert ask(server, pictures, "--sort-into", tmp_path / "file") == 1
    assert capsys.readouterr().err.startswith("error: cannot copy ")


@pytest.mark.parametrize(
    ("label", "name"), [("a/b", "a_b"), ("..", "__"), ("", "_"), (".", "_"), ("class 1", "class 1"), ("a\\b\0", "a_b_")]
)
def test_any_label_names_one_folder_inside_the_target(label: str, name: str) -> None:
    assert folder_name(label) == name


def test_a_model_file_with_workers(model_file: Path, many: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for workers in ("1", "8"):
        arguments = ["classify", str(many), "--model-file", str(model_file), "--format", "csv", "--workers", workers]
        assert main(arguments) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == 151


@pytest.mark.parametrize(
    ("code", "details", "line"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "the token has expired.", ": the token has expired\n"),
        (grpc.StatusCode.PERMISSION_DENIED, "not for you.", ": not for you\n"),
        (grpc.StatusCode.NOT_FOUND, "there is no model 'm'.", ": there is no model 'm'\n"),
        (grpc.StatusCode.INTERNAL, "failed", ": INTERNAL: failed\n"),
    ],
)
def test_a_call_that_fails_is_one_line(
    server: ScriptedServer,
    many: Path,
    code: grpc.StatusCode,
    details: str,
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.script.failures = [(code, details)] * 5
    assert ask(server, many, "--workers", "1") == 1
    assert capsys.readouterr().err == f"error: the server at {server.address}{line}"


def test_a_slow_server_is_one_line(server: ScriptedServer, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.script.delay = 1.0
    assert ask(server, pictures, "--timeout", "0.2") == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "no answer within the timeout" in printed


def test_the_token_file_and_wrong_certificates(
    server: ScriptedServer, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script.token = "secret"
    (tmp_path / "token").write_text("secret\n")
    assert ask(server, pictures, "--token-file", tmp_path / "token") == 0
    (tmp_path / "token").write_text("old\n")
    capsys.readouterr()
    assert ask(server, pictures, "--token-file", tmp_path / "token") == 1
    assert capsys.readouterr().err == f"error: the server at {server.address}: the token has expired\n"
    assert ask(server, pictures, "--root-certificates", tmp_path / "token") == 1
    assert "is no PEM file" in capsys.readouterr().err
