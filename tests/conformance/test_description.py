"""What a server says of itself and of its models."""

import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException

from tests.conformance.models import CLASSES, MAX_BATCH_SIZE


def test_a_server_that_answers_is_live(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live() is True


def test_a_server_whose_models_serve_is_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_ready() is True


def test_a_model_is_ready_by_name_and_by_version(client: triton.InferenceServerClient) -> None:
    assert client.is_model_ready("tiny") is True
    assert client.is_model_ready("tiny", "2") is True


def test_a_known_version_that_does_not_serve_is_not_ready(client: triton.InferenceServerClient, conveyor: None) -> None:
    assert client.is_model_ready("tiny", "1") is False
    assert client.is_model_ready("broken") is False


def test_readiness_of_an_unknown_model_is_an_error(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.is_model_ready("nobody")
    assert caught.value.status() == "StatusCode.NOT_FOUND"


def test_the_server_names_the_extensions_that_the_suite_uses(client: triton.InferenceServerClient) -> None:
    metadata = client.get_server_metadata()
    assert metadata.name
    assert metadata.version
    wanted = {"classification", "model_repository", "model_configuration", "system_shared_memory", "statistics"}
    assert wanted <= set(metadata.extensions)


def test_metadata_counts_the_batch_axis_and_names_every_size(client: triton.InferenceServerClient) -> None:
    metadata = client.get_model_metadata("tiny")
    assert (metadata.name, list(metadata.versions), metadata.platform) == ("tiny", ["2"], "onnxruntime_onnx")
    [image], [probabilities] = metadata.inputs, metadata.outputs
    assert (image.name, image.datatype, list(image.shape)) == ("image", "UINT8", [-1, 8, 8, 1])
    assert (probabilities.name, list(probabilities.shape)) == ("probabilities", [-1, CLASSES])


def test_metadata_without_a_batch_axis_is_the_whole_shape(client: triton.InferenceServerClient) -> None:
    [x] = client.get_model_metadata("echo_whole").inputs
    assert list(x.shape) == [2, 3]
    [x] = client.get_model_metadata("echo_free").inputs
    assert list(x.shape) == [-1, -1]


def test_versions_are_decimal_numbers(client: triton.InferenceServerClient) -> None:
    for model in client.get_model_repository_index().models:
        assert model.version == "" or int(model.version) > 0


def test_configuration_agrees_with_metadata(client: triton.InferenceServerClient, conveyor: None) -> None:
    config = client.get_model_config("tiny").config
    assert (config.name, config.platform, config.backend) == ("tiny", "onnxruntime_onnx", "onnxruntime")
    assert config.max_batch_size == MAX_BATCH_SIZE
    [image], [probabilities] = config.input, config.output
    assert (image.name, list(image.dims)) == ("image", [8, 8, 1])
    assert image.data_type == model_config_pb2.TYPE_UINT8
    assert image.format == model_config_pb2.ModelInput.FORMAT_NHWC
    assert (probabilities.name, list(probabilities.dims)) == ("probabilities", [CLASSES])
    assert config.HasField("dynamic_batching")
    assert not config.HasField("sequence_batching")
    assert config.dynamic_batching.default_queue_policy.max_queue_size >= 1
    assert sum(group.count for group in config.instance_group) == 1


def test_a_model_that_runs_alone_has_no_batch_size(client: triton.InferenceServerClient) -> None:
    config = client.get_model_config("echo_whole").config
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")


def test_rows_that_depend_on_their_neighbours_are_never_batched(
    client: triton.InferenceServerClient, conveyor: None
) -> None:
    assert client.get_model_config("mixing").config.max_batch_size == 0
    assert client.get_model_config("sums").config.max_batch_size > 1


@pytest.mark.parametrize("method", ["get_model_metadata", "get_model_config"])
def test_what_is_unknown_is_not_described(client: triton.InferenceServerClient, method: str) -> None:
    with pytest.raises(InferenceServerException) as caught:
        getattr(client, method)("nobody")
    assert caught.value.status() == "StatusCode.NOT_FOUND"
    assert caught.value.message() == "Request for unknown model: 'nobody' is not found"


def test_cuda_shared_memory_is_said_not_to_be_served(client: triton.InferenceServerClient, conveyor: None) -> None:
    for call in (
        client.get_cuda_shared_memory_status,
        client.unregister_cuda_shared_memory,
        lambda: client.register_cuda_shared_memory("region", b"aGFuZGxl", 0, 16),
    ):
        with pytest.raises(InferenceServerException) as caught:
            call()
        assert caught.value.status() == "StatusCode.UNIMPLEMENTED"
        assert "CUDA shared memory is not served" in caught.value.message()
