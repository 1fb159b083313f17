"""The console is served by every worker, on either engine, and its counters are those of all of them."""

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor_contract.preprocessing import encode_png
from tests.models import write_tiny_model
from tests.server.envoy.conftest import needs
from tests.server.http.asking import ask
from tests.server.process import running

ROW = np.random.default_rng(5).integers(0, 256, (8, 8, 1), np.uint8)
CALLS = 6


def post(address: str, path: str, body: bytes, **query: str | int) -> Any:
    connection = HTTPConnection(address, timeout=30)
    try:
        connection.request("POST", f"{path}?{urlencode(query)}", body, {"X-Conveyor-Console": "1"})
        response = connection.getresponse()
        content = json.loads(response.read())
        assert response.status == 200, content
        return content
    finally:
        connection.close()


@pytest.mark.parametrize(("engine", "workers"), [("grpcio", 1), ("grpcio", 2), ("envoy", 2)])
def test_every_worker_answers_the_page_and_counts_for_all(tmp_path: Path, engine: str, workers: int) -> None:
    needs(engine)
    write_tiny_model(tmp_path)
    with running(tmp_path, "--engine", engine, "--workers", str(workers)) as server:
        assert "Conveyor console" in ask(server.http_address, "/").text
        image = pb.Image(encoded=encode_png(ROW))
        expected = server.stub.Classify(pb.ClassifyRequest(model_name="tiny", images=[image], top_k=3))
        for _ in range(CALLS):
            found = post(server.http_address, "/console/look", image.encoded, model="tiny", top_k=3)
            answers = [prediction["probability"] for prediction in found["results"][0]["answer"]["predictions"]]
            assert answers == pytest.approx([one.probability for one in expected.results[0].answer.predictions])
        families = ask(server.http_address, "/console/pulse").json()["families"]
        rows = sum(value for _, value in families["conveyor_rows_total"]["samples"])
        assert rows == CALLS + 1


def test_an_explanation_leaves_the_counters_alone_and_fits_a_short_queue(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    with running(tmp_path, "--max-queue-size", "8") as server:
        before = ask(server.http_address, "/console/pulse").json()["families"]["conveyor_requests_total"]
        found = post(server.http_address, "/console/explain", encode_png(ROW), model="tiny", index=1)
        assert np.shape(found["falls"]) == (8, 8)
        assert found["copies"] == 64
        assert ask(server.http_address, "/console/pulse").json()["families"]["conveyor_requests_total"] == before
        with pytest.raises(AssertionError, match="gives 3 values, so there is none"):
            post(server.http_address, "/console/explain", encode_png(ROW), model="tiny", index=3)
