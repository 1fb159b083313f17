"""Who gets the console, and which requests it answers, asked without a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import write_tiny_model
from tests.server.http.asking import Answer, ask
from tests.server.process import ServerProcess, running

OWN = {"X-Conveyor-Console": "1"}
LOOK = "/console/look?model=tiny"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one model, beside whose file lie pictures and what must not be served."""
    repository: Path = tmp_path_factory.mktemp("tiny")
    folder = write_tiny_model(repository).parent
    (folder / "report").mkdir()
    (folder / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    (folder / "report" / "curve.png").write_bytes(b"\x89PNG\r\n\x1a\nreal")
    (folder / "report" / "notes.txt").write_text("secret")
    (folder / "report" / "text.png").write_text("secret")
    (folder / "report" / "link.png").symlink_to(folder / "secret.png")
    return repository


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[ServerProcess]:
    with running(tiny) as process:
        yield process


def test_every_answer_of_the_console_carries_the_browsers_orders(server: ServerProcess) -> None:
    paths = ["/", "/console/files/app.js", "/console/files/nothing.js", "/console/pulse", "/console/pictures?model=x"]
    for path in paths:
        headers = ask(server.http_address, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers


def test_the_pages_files_are_kept_until_they_change(server: ServerProcess) -> None:
    first = ask(server.http_address, "/console/files/app.js")
    assert first.status == 200
    again = ask(server.http_address, "/console/files/app.js", **{"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_the_page_holds_no_script_and_no_style_of_its_own(server: ServerProcess) -> None:
    page = ask(server.http_address, "/").text
    assert "<style" not in page
    assert " style=" not in page
    assert all("src=" in part.partition(">")[0] for part in page.split("<script")[1:])
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2f..%2froutes.py", "%2e%2e/files.py", "..", "__init__.py", "%00", "files.py"]
)
def test_nothing_but_the_pages_files_is_served(server: ServerProcess, name: str) -> None:
    assert ask(server.http_address, f"/console/files/{name}").status == 404


def test_training_pictures_are_listed_and_served(server: ServerProcess) -> None:
    listed = ask(server.http_address, "/console/pictures?model=tiny&version=1")
    assert listed.json() == {"pictures": ["curve.png", "text.png"]}
    picture = ask(server.http_address, "/console/pictures/curve.png?model=tiny&version=1")
    assert (picture.status, picture.headers["content-type"]) == (200, "image/png")
    assert picture.body.endswith(b"real")


@pytest.mark.parametrize(
    "name", ["link.png", "text.png", "notes.txt", "secret.png", "../secret.png", "..%2fsecret.png", "%2fetc%2fpasswd"]
)
def test_nothing_but_pictures_of_their_folder_is_served(server: ServerProcess, name: str) -> None:
    answer = ask(server.http_address, f"/console/pictures/{name}?model=tiny&version=1")
    assert answer.status == 404
    assert b"secret" not in answer.body.replace(b"secret.png", b"")


@pytest.mark.parametrize("model", ["nobody", "..", "../tiny", "tiny/1"])
def test_pictures_of_an_unknown_model_are_not_found(server: ServerProcess, model: str) -> None:
    answer = ask(server.http_address, f"/console/pictures?model={model}&version=1")
    assert (answer.status, "error" in answer.json()) == (404, True)


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({}, "only the console's own page asks here"),
        ({**OWN, "Sec-Fetch-Site": "cross-site"}, "pages of other sites may not use this server"),
        ({**OWN, "Origin": "http://evil.example"}, "pages of other sites may not use this server"),
        ({**OWN, "Host": "evil.example"}, "without a token this server answers only as localhost"),
    ],
)
def test_another_sites_page_gets_nothing(server: ServerProcess, headers: dict[str, str], sentence: str) -> None:
    answer = ask(server.http_address, LOOK, "POST", **headers)
    assert answer.status == 403
    assert sentence in answer.json()["error"]
    assert "access-control-allow-origin" not in answer.headers


def test_another_name_for_this_machine_may_not_read_the_counters(server: ServerProcess) -> None:
    assert ask(server.http_address, "/console/pulse", Host="evil.example:80").status == 403
    assert ask(server.http_address, "/console/pulse", Host="localhost:80").status == 200


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("", 400, "the query needs model"),
        ("?model=nobody", 404, "nobody"),
        ("?model=tiny&version=7", 404, "model 'tiny' has no version 7"),
        ("?model=tiny&top_k=0", 400, "top_k"),
        ("?model=tiny&colour=red", 400, "colour"),
    ],
)
def test_a_wrong_question_is_one_sentence(server: ServerProcess, query: str, status: int, sentence: str) -> None:
    answer = ask(server.http_address, f"/console/look{query}", "POST", **OWN)
    assert answer.status == status
    assert sentence in answer.json()["error"]


def test_it_can_be_switched_off(tiny: Path) -> None:
    with running(tiny, "--no-console") as server:
        assert_off(ask(server.http_address, "/"), "the console is switched off (--no-console)")
        assert ask(server.http_address, "/console/pulse").status == 404


def test_where_other_machines_reach_it_there_is_one_only_behind_a_token(tiny: Path, tmp_path: Path) -> None:
    with running(tiny, "--http-host", "0.0.0.0") as server:
        assert_off(ask(local(server), "/"), "no token is set; set one with --inference-token-file")
        assert ask(local(server), "/console/files/app.js").status == 404
    tokens = tmp_path / "tokens"
    tokens.write_text("a-long-enough-token\n")
    with running(tiny, "--http-host", "0.0.0.0", "--inference-token-file", str(tokens)) as server:
        assert ask(local(server), "/", Host="models.example").status == 200
        for path in ("/console/explain?model=tiny&index=0", LOOK):
            assert ask(local(server), path, "POST", **OWN).status == 401
        assert ask(local(server), "/console/pictures?model=tiny").status == 401
        bearer = {"Authorization": "Bearer a-long-enough-token", "Host": "models.example"}
        assert ask(local(server), "/console/pictures?model=tiny", **bearer).status == 200


def assert_off(answer: Answer, sentence: str) -> None:
    assert answer.status == 403
    assert sentence in answer.json()["error"]


def local(server: ServerProcess) -> str:
    return f"127.0.0.1:{server.http_address.rpartition(':')[2]}"
