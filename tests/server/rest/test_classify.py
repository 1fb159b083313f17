"""`/v1/classify`: forms and bodies, each image with its own answer, and every way in which a request can be wrong."""

import io

import pytest
from PIL import Image

from tests.server.http.asking import Answer
from tests.server.rest.asking import post

PATH = "/v1/classify?model=tiny"
BOUNDARY = "between"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(*files: tuple[str, bytes]) -> bytes:
    parts = []
    for name, content in files:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def send(http: str, *files: tuple[str, bytes], query: str = "") -> Answer:
    return post(http, PATH + query, form(*files), Content_Type=FORM)


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded", ""])
def test_a_body_is_an_image_whatever_its_type_is_said_to_be(http: str, picture: bytes, kind: str) -> None:
    answer = post(http, PATH, picture, Content_Type=kind)
    assert answer.status == 200
    assert len(answer.json()["results"][0]["predictions"]) == 1


def test_each_file_of_a_form_has_its_own_answer(http: str, picture: bytes) -> None:
    answer = send(http, ("a.png", picture), ("b.txt", b"no picture"), ("ü.png", picture), query="&top_k=2")
    assert answer.status == 200
    first, second, third = answer.json()["results"]
    assert [each["image"] for each in (first, second, third)] == ["a.png", "b.txt", "ü.png"]
    assert len(first["predictions"]) == 2
    assert third["predictions"] == first["predictions"]
    assert (second["status"], "predictions" in second) == (400, False)
    assert "cannot be read" in second["error"]


def test_a_large_picture_in_a_form_is_read_whole(http: str) -> None:
    large = io.BytesIO()
    Image.effect_noise((1200, 1200), 90).save(large, "PNG")
    assert large.tell() > 1024 * 1024
    assert send(http, ("large.png", large.getvalue())).json()["results"][0]["predictions"]


@pytest.mark.parametrize(
    ("path", "kind", "body", "status", "words"),
    [
        ("/v1/classify", "image/png", b"x", 400, "the query needs model=..."),
        ("/v1/classify?model=", "image/png", b"x", 400, "the query's model: string should have at least 1 character"),
        (f"{PATH}&topk=1", "image/png", b"x", 400, "the query has no parameter 'topk'"),
        (f"{PATH}&top_k=-1", "image/png", b"x", 400, "the query's top_k: input should be greater than or equal to 0"),
        (f"{PATH}&top_k=many", "image/png", b"x", 400, "the query's top_k: input should be a valid integer"),
        (f"{PATH}&timeout_ms=4294967296", "image/png", b"x", 400, "less than or equal to 4294967295"),
        (PATH, "image/png", b"", 400, "the body is empty"),
        (PATH, "image/png", b"x", 400, "the image cannot be read"),
        (PATH, "application/json", b"{}", 415, "this takes images, not JSON"),
        (PATH, "multipart/form-data", b"", 400, "the form cannot be read: Missing boundary"),
        (PATH, FORM, b"no form", 400, "the form cannot be read"),
        (PATH, FORM, form(), 400, "the request holds no image"),
        (PATH, FORM, form(*[("a", b"")] * 257), 400, "the form cannot be read: Too many files"),
        (PATH, FORM, form(("a", b"x")).replace(b'; filename="a"', b""), 400, "the form's field 'image' is no file"),
        ("/v1/classify?model=sums", "image/png", b"x", 400, "sums"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(http: str, path: str, kind: str, body: bytes, status: int, words: str) -> None:
    answer = post(http, path, body, Content_Type=kind)
    assert answer.status == status
    assert set(answer.json()) == {"error"}
    assert words in answer.json()["error"]
