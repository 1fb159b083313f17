"""The OpenAPI description is valid, complete, and what the server does: schemathesis looks for any difference."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.http.rest.openapi import describe
from conveyor_server.http.rest.routes import all_operations
from tests.counts import count, is_full
from tests.server.process import running
from tests.server.rest.asking import get, infer_body, post
from tests.server.rest.conftest import FLAGS

# What a client of this interface may be told although it asked as the description says: that is up to the models.
CONFIGURATION = f"""
[generation]
max-examples = {count("made up requests of each operation")}
database = "none"

[checks]
not_a_server_error.expected-statuses = ["2xx", "4xx", 501, 503]
positive_data_acceptance.enabled = false
"""

# The last tries sequences of operations.
PHASES = "coverage,fuzzing,stateful" if is_full() else "coverage,fuzzing"


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """What the server describes itself with."""
    return describe(all_operations(), "1.2.3")


def test_every_operation_is_described_and_named_once(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    described = [each["operationId"] for path in description["paths"].values() for each in path.values()]
    assert sorted(described) == sorted(operation.name for operation in all_operations())
    assert len(set(described)) == len(described)


def test_every_schema_is_one(description: dict[str, Any]) -> None:
    for path in description["paths"].values():
        for operation in path.values():
            contents = [answer.get("content", {}) for answer in operation["responses"].values()]
            for content in [*contents, operation.get("requestBody", {}).get("content", {})]:
                for media in content.values():
                    Draft202012Validator.check_schema(media.get("schema", {}))


def test_the_server_gives_its_description(http: str, description: dict[str, Any]) -> None:
    answer = get(http, "/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["paths"] == json.loads(json.dumps(description["paths"]))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/tiny/config", None),
        ("/v2/models/tiny/stats", None),
        ("/v1/models/tiny", None),
        ("/v2/models/sums/ready", None),
        ("/v2/models/echo_free/infer", infer_body("x", "FP32", [1, 2], [1, 2])),
    ],
)
def test_full_answers_are_as_described(http: str, description: dict[str, Any], path: str, body: Any) -> None:
    pattern = next(each for each in description["paths"] if _fits(each, path))
    operation = description["paths"][pattern]["get" if body is None else "post"]
    answer = get(http, path) if body is None else post(http, path, body)
    assert answer.status == 200
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema).validate(answer.json())


# On a server of its own, for it loads and unloads; on one engine, for HTTP is the same on both, and this takes long.
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    with running(repository, *FLAGS) as server:
        done = run_schemathesis(f"http://{server.http_address}/openapi.json", tmp_path)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert server.stub.ListModels(pb.ListModelsRequest()).models
        assert "unexpected error" not in server.log, server.log


def run_schemathesis(address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", address, "--seed", "1", "--phases", PHASES]
    return subprocess.run(
        command,
        check=False,
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=850,
    )


def _fits(pattern: str, path: str) -> bool:
    parts, given = pattern.split("/"), path.split("/")
    return len(parts) == len(given) and all(p == g or p.startswith("{") for p, g in zip(parts, given, strict=True))
