"""A worker has the settings that its parent has checked."""

from pathlib import Path

from conveyor_server.settings import ServerSettings
from conveyor_server.workers.settings_text import settings_of_text, text_of_settings


def test_a_worker_reads_what_its_parent_wrote() -> None:
    settings = ServerSettings(
        repository=Path("models"),
        tls_certificate=Path("tls.crt"),
        allow_custom_operators=[Path("a.so"), Path("b.so")],
        traffic=["mnist:stable=1,shadow=2"],
        rate_limit=2.5,
        otlp_endpoint="http://localhost:4317",
    )
    assert vars(settings_of_text(text_of_settings(settings))) == dict(settings)
