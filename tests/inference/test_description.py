"""The configuration of a model says which of its versions serve."""

from dataclasses import replace
from pathlib import Path

import pytest
import tritonclient.grpc as triton

from conveyor_server.inference.description import config_of
from conveyor_server.version_policy import parse_policy
from tests.inference.test_usual import model_of
from tests.models import write_tiny_model
from tests.server.process import running
from tests.server.scripted import Bench, in_loop


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("latest:1", "latest {\n  num_versions: 1\n}\n"),
        ("latest:3", "latest {\n  num_versions: 3\n}\n"),
        ("all", "all {\n}\n"),
        ("specific:7,3", "specific {\n  versions: 3\n  versions: 7\n}\n"),
    ],
)
def test_a_policy_is_said_as_it_is(policy: str, said: str) -> None:
    @in_loop
    async def test() -> None:
        model = replace(model_of(), batcher=Bench().batcher)
        assert str(config_of(model, parse_policy(policy)).version_policy) == said

    test()


def test_a_server_says_the_policy_that_it_was_started_with(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    with (
        running(tmp_path, "--version-policy", "all") as server,
        triton.InferenceServerClient(server.address) as client,
    ):
        assert client.get_model_config("tiny").config.version_policy.WhichOneof("policy_choice") == "all"
