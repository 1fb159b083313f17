"""The repository's index, and models that come and go while others serve."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tests.conformance.asking import images, tensor
from tests.conformance.models import write_sums
from tests.models import write_tiny_model


def index(client: triton.InferenceServerClient) -> dict[tuple[str, str], tuple[str, str]]:
    models = client.get_model_repository_index().models
    return {(model.name, model.version): (model.state, model.reason) for model in models}


@pytest.fixture
def guest(own_repository: Path, client: triton.InferenceServerClient) -> Iterator[Path]:
    """The folder of a model that comes and goes."""
    write_tiny_model(own_repository, "guest", 1)
    client.load_model("guest")
    yield own_repository / "guest"
    client.unload_model("guest")
    shutil.rmtree(own_repository / "guest")


def wait_for_state(client: triton.InferenceServerClient, name: str, version: str, state: str) -> str:
    """The reason that stands beside the state, once it is reached."""
    end = time.monotonic() + 30
    while index(client)[name, version][0] != state:
        assert time.monotonic() < end, index(client)
        time.sleep(0.02)
    return index(client)[name, version][1]


def refused(client: triton.InferenceServerClient, name: str, **options: str) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as caught:
        client.load_model(name, **options)
    return str(caught.value.status()), str(caught.value.message())


def test_the_index_has_every_version_with_its_state(client: triton.InferenceServerClient, conveyor: None) -> None:
    found = index(client)
    assert found["tiny", "2"] == ("READY", "")
    assert found["tiny", "1"] == ("UNAVAILABLE", "not loaded: version 2 serves")
    state, reason = found["broken", "1"]
    assert (state, "not an ONNX file" in reason) == ("UNAVAILABLE", True)


def test_a_model_is_loaded_and_unloaded(guest: Path, client: triton.InferenceServerClient) -> None:
    assert client.is_model_ready("guest")
    assert client.infer("guest", [tensor("image", images())]).as_numpy("probabilities").shape == (1, 3)
    client.unload_model("guest")
    assert not client.is_model_ready("guest")
    with pytest.raises(InferenceServerException) as caught:
        client.infer("guest", [tensor("image", images())])
    assert caught.value.message() == "Request for unknown model: 'guest' has no available versions"
    assert wait_for_state(client, "guest", "1", "UNAVAILABLE") == "unloaded"
    client.load_model("guest")
    assert client.is_model_ready("guest")


def test_a_new_version_takes_over_and_no_request_fails(guest: Path, client: triton.InferenceServerClient) -> None:
    versions: list[str] = []
    go_on = threading.Event()
    go_on.set()

    def ask() -> None:
        while go_on.is_set():
            versions.append(client.infer("guest", [tensor("image", images())]).get_response().model_version)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in range(2, 7):
        write_tiny_model(guest.parent, "guest", version, seed=version)
        client.load_model("guest")
        assert client.infer("guest", [tensor("image", images())]).get_response().model_version == str(version)
    time.sleep(0.1)
    go_on.clear()
    for thread in threads:
        thread.join()
    assert versions[0] == "1"
    assert versions[-1] == "6"
    assert wait_for_state(client, "guest", "5", "UNAVAILABLE") == "not loaded: version 6 serves"


def test_a_bad_version_never_replaces_a_good_one(guest: Path, client: triton.InferenceServerClient) -> None:
    (guest / "2").mkdir()
    (guest / "2" / "model.onnx").write_bytes(b"no model")
    status, message = refused(client, "guest")
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert message.startswith("failed to load 'guest', ")
    assert "not an ONNX file" in message
    assert client.infer("guest", [tensor("image", images())]).get_response().model_version == "1"
    assert "not an ONNX file" in wait_for_state(client, "guest", "2", "UNAVAILABLE")


def test_the_same_version_from_a_bad_file_never_replaces_the_good_one(
    guest: Path, client: triton.InferenceServerClient
) -> None:
    (guest / "1" / "model.onnx").write_bytes(b"no model")
    assert "not an ONNX file" in refused(client, "guest")[1]
    assert client.infer("guest", [tensor("image", images())]).get_response().model_version == "1"
    assert index(client)["guest", "1"][0] == "READY"


def test_the_same_version_from_another_file_takes_over(guest: Path, client: triton.InferenceServerClient) -> None:
    before = client.infer("guest", [tensor("image", images())]).as_numpy("probabilities")
    write_tiny_model(guest.parent, "guest", 1, seed=5)
    client.load_model("guest")
    after = client.infer("guest", [tensor("image", images())]).as_numpy("probabilities")
    assert np.abs(before - after).max() > 0.01


def test_a_load_may_choose_how_the_model_is_batched(guest: Path, client: triton.InferenceServerClient) -> None:
    batching = {"max_queue_delay_microseconds": 100, "default_queue_policy": {"max_queue_size": 7}}
    config = {"max_batch_size": 4, "instance_group": [{"count": 2}], "dynamic_batching": batching}
    client.load_model("guest", config=json.dumps(config))
    found = client.get_model_config("guest").config
    assert (found.max_batch_size, found.instance_group[0].count) == (4, 2)
    assert found.dynamic_batching.max_queue_delay_microseconds == 100
    assert found.dynamic_batching.default_queue_policy.max_queue_size == 7
    with pytest.raises(InferenceServerException, match="batch-size must be <= 4"):
        client.infer("guest", [tensor("image", images(5))])


@pytest.mark.parametrize(
    ("config", "status", "part"),
    [
        ("not json", "INVALID_ARGUMENT", "not a model configuration in JSON"),
        ('["max_batch_size"]', "INVALID_ARGUMENT", "not a model configuration in JSON"),
        ('{"max_batch_size": -1}', "INVALID_ARGUMENT", "max_batch_size is -1"),
        ('{"max_batch_size": 64}', "INVALID_ARGUMENT", "the contract proves 8"),
        ('{"instance_group": [{"count": 1000}]}', "INVALID_ARGUMENT", "1 to 64"),
        ('{"name": "another"}', "INVALID_ARGUMENT", "for model 'another'"),
        ('{"sequence_batching": {}}', "UNIMPLEMENTED", "sequence_batching"),
    ],
)
def test_a_load_that_cannot_be_honoured_changes_nothing(
    guest: Path, client: triton.InferenceServerClient, config: str, status: str, part: str
) -> None:
    found = refused(client, "guest", config=config)
    assert found[0] == f"StatusCode.{status}"
    assert part in found[1]
    assert client.get_model_config("guest").config.max_batch_size == 8


def test_files_in_a_load_are_refused(guest: Path, client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.load_model("guest", config="{}", files={"file:1/model.onnx": b"bytes"})
    assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


def test_what_is_not_in_the_repository_is_neither_loaded_nor_unloaded(client: triton.InferenceServerClient) -> None:
    for call in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException) as caught:
            call("nobody")
        assert "'nobody'" in caught.value.message()


def test_unloading_one_model_leaves_the_others_alone(
    own_repository: Path, client: triton.InferenceServerClient
) -> None:
    write_sums(own_repository, "visitor")
    client.load_model("visitor")
    client.unload_model("visitor", unload_dependents=True)
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    shutil.rmtree(own_repository / "visitor")
