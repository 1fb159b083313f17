"""conveyor rollback: end a trial, or undo the last promotion."""

from pydantic import Field

from conveyor_cli.administering import AdminSettings, open_client, print_traffic

SUMMARY = "end a model's trial, or undo its last promotion"
EXAMPLE = "conveyor rollback mnist --reason 'sevens are taken for ones'"


class RollbackSettings(AdminSettings):
    """What `conveyor rollback` is told."""

    reason: str = Field(default="", description="shown with the decision, and logged")


Settings = RollbackSettings


def run(settings: RollbackSettings) -> int:
    """Shows the traffic as it is then."""
    with open_client(settings) as client:
        print_traffic(client.roll_back(settings.model, settings.reason), as_json=settings.json_)
    return 0
