"""conveyor promote: make the version on trial the stable one."""

from pydantic import Field

from conveyor_cli.administering import AdminSettings, open_client, print_traffic

SUMMARY = "make a model's version on trial, or another one, the stable version"
EXAMPLE = "conveyor promote mnist"


class PromoteSettings(AdminSettings):
    """What `conveyor promote` is told."""

    version: str = Field(default="", description="version to promote; without it, the one on trial")


Settings = PromoteSettings


def run(settings: PromoteSettings) -> int:
    """Shows the traffic as it is then."""
    with open_client(settings) as client:
        print_traffic(client.promote(settings.model, settings.version), as_json=settings.json_)
    return 0
