"""conveyor classify: which files, what is printed, and how it exits."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from conveyor_cli.image_files import find_images
from conveyor_cli.main import main
from conveyor_contract.errors import ConveyorError
from tests.clients.scripted import LABELS, ScriptedServer


def test_folders_are_searched_and_patterns_opened(pictures: Path) -> None:
    names = ["a.png", "b.png", "c,d.PNG", "more/e.png"]
    assert find_images([str(pictures)]) == [pictures / name for name in names]
    assert find_images([f"{pictures}/*.png"]) == [pictures / "a.png", pictures / "b.png"]
    assert find_images([f"{pictures}/**/e.png", f"{pictures}/b.png"]) == [pictures / "more/e.png", pictures / "b.png"]
    assert find_images(["absent.png"]) == [Path("absent.png")]


def test_a_folder_or_a_pattern_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConveyorError, match="holds no images"):
        find_images([str(tmp_path)])
    with pytest.raises(ConveyorError, match="no file matches"):
        find_images([f"{tmp_path}/*.png"])


def test_a_line_for_each_image(server: ScriptedServer, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", str(pictures), "--url", server.address, "--model", "m", "--top", "2"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == [str(file) for file in find_images([str(pictures)])]
    assert all("60.0%" in line and "30.0%" in line for line in lines)
    assert printed.err == f"next: conveyor bench --url {server.address} --model m\n"


def test_json_has_the_promised_keys(server: ScriptedServer, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = str(pictures / "a.png")
    assert main(["classify", one, "--url", server.address, "--model", "m", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    [entry] = json.loads(printed.out)
    assert set(entry) == {"image", "predictions", "model_version", "timings"}
    assert (entry["image"], entry["model_version"]) == (one, "7")
    [prediction] = entry["predictions"]
    assert set(prediction) == {"label", "index", "probability"}
    assert prediction["label"] == LABELS[prediction["index"]]
    assert set(entry["timings"]) == {"preprocess_us", "queue_us", "compute_us", "batch_size"}


def test_an_image_without_an_answer_is_named_and_the_others_answered(
    server: ScriptedServer, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [str(pictures / "a.png"), "absent.png"]
    assert main(["classify", *images, "--url", server.address, "--model", "m"]) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1
    assert printed.err.splitlines() == [
        "error: cannot read absent.png: No such file or directory",
        "error: 1 of 2 images have no answer",
    ]


def test_no_server(silent_address: str, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["classify", str(pictures / "a.png"), "--url", silent_address, "--model", "m"]
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"error: no server answers at {silent_address}")


@pytest.mark.parametrize("choice", [[], ["--model", "m", "--model-file", "model.onnx"]])
def test_exactly_one_model_is_wanted(choice: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "a.png", *choice]) == 2
    assert "either --model NAME (on a server) or --model-file FILE" in capsys.readouterr().err


def test_a_model_file_answers_without_a_server(
    model_file: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", str(pictures), "--model-file", str(model_file), "--top", "9", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    files = find_images([str(pictures)])
    rows = np.stack([np.asarray(Image.open(file))[:, :, None] for file in files])
    [expected] = onnxruntime.InferenceSession(model_file).run(None, {"image": rows})
    assert [entry["image"] for entry in entries] == [str(file) for file in files]
    for entry, probabilities in zip(entries, expected, strict=True):
        assert entry["model_version"] == "1"
        assert [each["index"] for each in entry["predictions"]] == list(np.argsort(-probabilities))
        given = [each["probability"] for each in entry["predictions"]]
        assert given == pytest.approx(sorted(probabilities.tolist(), reverse=True), abs=1e-6)


def test_a_model_file_with_a_bad_image_or_none_at_all(
    model_file: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [str(pictures / "notes.txt"), str(pictures / "a.png"), "absent.png"]
    assert main(["classify", *images, "--model-file", str(model_file)]) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1
    assert "notes.txt: " in printed.err
    assert "absent.png: No such file or directory" in printed.err
    assert main(["classify", images[1], "--model-file", "absent.onnx"]) == 1
    assert "absent.onnx does not exist" in capsys.readouterr().err
