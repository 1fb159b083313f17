"""Settings that are read, and where that is offered changed, while the server runs."""

import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException


def refused(method: object, settings: dict[str, object]) -> str:
    with pytest.raises(InferenceServerException) as caught:
        method(settings=settings)  # type: ignore[operator]  # a client's method
    return str(caught.value.status())


def test_log_settings_are_read_and_changed(client: triton.InferenceServerClient) -> None:
    before = client.get_log_settings(as_json=True)["settings"]
    assert before["log_error"]["bool_param"] is True
    changed = client.update_log_settings({"log_info": False}, as_json=True)["settings"]
    assert not changed["log_info"].get("bool_param", False)
    assert changed["log_warning"]["bool_param"] is True
    verbose = client.update_log_settings({"log_info": True, "log_verbose_level": 1}, as_json=True)["settings"]
    assert verbose["log_verbose_level"]["uint32_param"] == 1
    after = client.update_log_settings({"log_verbose_level": 0}, as_json=True)["settings"]
    assert after == before


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"log_colour": True}, "INVALID_ARGUMENT"),
        ({"log_error": False}, "INVALID_ARGUMENT"),
        ({"log_file": "elsewhere.log"}, "UNIMPLEMENTED"),
    ],
)
def test_log_settings_that_cannot_be_had_change_nothing(
    client: triton.InferenceServerClient, settings: dict[str, object], status: str, conveyor: None
) -> None:
    before = client.get_log_settings()
    assert refused(client.update_log_settings, settings) == f"StatusCode.{status}"
    assert client.get_log_settings() == before


def test_trace_settings_say_that_nothing_is_traced(client: triton.InferenceServerClient, conveyor: None) -> None:
    assert list(client.get_trace_settings().settings["trace_level"].value) == ["OFF"]
    assert list(client.get_trace_settings("tiny").settings["trace_level"].value) == ["OFF"]
    unchanged = client.update_trace_settings(settings={"trace_level": ["OFF"], "trace_rate": None})
    assert unchanged == client.get_trace_settings()


@pytest.mark.parametrize(
    ("settings", "status"),
    [({"trace_level": ["TIMESTAMPS"]}, "UNIMPLEMENTED"), ({"trace_colour": ["red"]}, "INVALID_ARGUMENT")],
)
def test_tracing_cannot_be_turned_on(
    client: triton.InferenceServerClient, settings: dict[str, object], status: str, conveyor: None
) -> None:
    assert refused(client.update_trace_settings, settings) == f"StatusCode.{status}"


def test_trace_settings_of_an_unknown_model_are_an_error(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.get_trace_settings("nobody")
    assert "nobody" in caught.value.message()
