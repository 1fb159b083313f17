"""Behind several workers REST is one server: what one is told, all know."""

from pathlib import Path

from tests.models import write_tiny_model
from tests.server.process import running
from tests.server.rest.asking import get, post

# Enough connections to reach each worker.
ASKED = 12


def test_what_one_worker_does_all_have_done(tmp_path: Path, engine: str, picture: bytes) -> None:
    write_tiny_model(tmp_path)
    flags = ("--workers", "2", "--engine", engine, "--model-control-mode", "explicit", "--load-model", "*")
    with running(tmp_path, *flags) as server:
        http = server.http_address
        for _ in range(ASKED):
            assert post(http, "/v1/classify?model=tiny", picture).status == 200
        (counted,) = get(http, "/v2/models/tiny/stats").json()["model_stats"]
        assert counted["inference_count"] >= ASKED
        assert post(http, "/v2/repository/models/tiny/unload", {}).status == 200
        assert {get(http, "/v2/models/tiny/ready").status for _ in range(ASKED)} == {503}
        assert post(http, "/v2/repository/models/tiny/load", {}).status == 200
        assert {get(http, "/v2/models/tiny/ready").status for _ in range(ASKED)} == {200}
        assert post(http, "/v2/logging", {"log_verbose_level": 1}).status == 200
        assert {get(http, "/v2/logging").json()["log_verbose_level"] for _ in range(ASKED)} == {1}
