"""Forms of requests: told by their bytes, learnt only where that is proved to be right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor_server.inference.inference_pb2 import ModelInferRequest as Request
from conveyor_server.request_forms import MAX_ALIKE, MAX_CONTENT, MAX_FORMS, MAX_START, RequestForms


def content_of(payload: bytes) -> bytes:
    return Request.FromString(payload).raw_input_contents[0]


def payload_of(content: bytes, name: str = "m") -> bytes:
    request = Request(model_name=name, raw_input_contents=[content])
    request.inputs.add(name="x", datatype="UINT8", shape=[1, len(content)])
    return request.SerializeToString()


@given(first=st.binary(min_size=1, max_size=40), second=st.binary(min_size=1, max_size=40))
def test_a_request_of_a_known_form_is_found_with_any_content_of_the_same_size(first: bytes, second: bytes) -> None:
    forms: RequestForms[str] = RequestForms()
    forms.learn(payload_of(first), first, content_of, "m")
    form = forms.find(payload_of(second))
    assert (form is not None) == (len(first) == len(second))
    if form is not None:
        payload = payload_of(second)
        assert payload[len(form.start) :] == second
        assert form.meaning == "m"


@given(content=st.binary(min_size=1, max_size=8), name=st.text(min_size=1, max_size=8), place=st.integers(0, 60))
def test_whatever_differs_outside_the_content_is_another_form(content: bytes, name: str, place: int) -> None:
    forms: RequestForms[None] = RequestForms()
    payload = payload_of(content, name)
    forms.learn(payload, content, content_of, None)
    assert forms.find(payload) is not None
    inside = range(len(payload) - len(content), len(payload))
    place %= len(payload)
    altered = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
    assert (forms.find(altered) is not None) == (place in inside)


def test_two_forms_of_one_length_are_kept_apart() -> None:
    forms: RequestForms[str] = RequestForms()
    for name in ("a", "b"):
        forms.learn(payload_of(b"1234", name), b"1234", content_of, name)
    found = [forms.find(payload_of(b"5678", name)) for name in ("a", "b", "c")]
    assert [form and form.meaning for form in found] == ["a", "b", None]


def test_a_place_that_only_looks_like_the_content_is_not_learnt() -> None:
    forms: RequestForms[None] = RequestForms()
    # The content stands last; behind it the same bytes once more, in a field of another name.
    payload = payload_of(b"abcd") + Request(model_version="abcd").SerializeToString()
    forms.learn(payload, b"abcd", content_of, None)
    assert forms.find(payload) is None


def test_an_empty_content_is_not_learnt() -> None:
    forms: RequestForms[None] = RequestForms()
    forms.learn(payload_of(b""), b"", content_of, None)
    assert forms.find(payload_of(b"")) is None


@pytest.mark.parametrize(("content", "name"), [(b"1" * (MAX_CONTENT + 1), "m"), (b"1", "m" * (MAX_START + 1))])
def test_what_is_too_large_to_be_usual_is_not_learnt(content: bytes, name: str) -> None:
    forms: RequestForms[None] = RequestForms()
    payload = payload_of(content, name)
    forms.learn(payload, content, content_of, None)
    assert forms.find(payload) is None


def test_no_more_forms_are_kept_than_allowed() -> None:
    forms: RequestForms[int] = RequestForms()
    contents = [b"1" * size for size in range(1, 2 * MAX_FORMS + 1)]
    for number, content in enumerate(contents):
        forms.learn(payload_of(content), content, content_of, number)
    known = [number for number, content in enumerate(contents) if forms.find(payload_of(content))]
    assert known == list(range(MAX_FORMS, 2 * MAX_FORMS))


def test_of_one_length_only_a_few_are_kept_and_the_last_is_among_them() -> None:
    forms: RequestForms[None] = RequestForms()
    names = [f"model {number}" for number in range(10, 10 + 3 * MAX_ALIKE)]
    for name in names:
        forms.learn(payload_of(b"1234", name), b"1234", content_of, None)
        assert forms.find(payload_of(b"5678", name)) is not None
    assert sum(forms.find(payload_of(b"5678", name)) is not None for name in names) <= MAX_ALIKE


def test_a_form_is_kept_once() -> None:
    forms: RequestForms[int] = RequestForms()
    for number in range(3 * MAX_ALIKE):
        forms.learn(payload_of(b"1234"), b"1234", content_of, number)
    form = forms.find(payload_of(b"1234"))
    assert form is not None
    assert form.meaning == 0
