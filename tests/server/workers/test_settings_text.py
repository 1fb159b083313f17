"""A worker has the settings that its parent has checked."""

from conveyor_server.settings import ServerSettings
from conveyor_server.workers.settings_text import settings_of_text, text_of_settings

GIVEN = {
    "repository": "models",
    "tls_certificate": "tls.crt",
    "allow_custom_operators": ["a.so", "b.so"],
    "traffic": ["mnist:stable=1,shadow=2"],
    "rate_limit": 2.5,
    "otlp_endpoint": "http://localhost:4317",
}


def test_a_worker_reads_what_its_parent_wrote() -> None:
    settings = ServerSettings.model_validate(GIVEN)
    assert vars(settings_of_text(text_of_settings(settings))) == dict(settings)
