"""`conveyor serve`: gRPC over the models of a repository."""

from conveyor_server.settings import ServerSettings

SUMMARY = "Serve the models of a repository over gRPC."
EXAMPLE = "conveyor serve models --port 8001"

Settings = ServerSettings


def run(settings: ServerSettings) -> int:
    """Serves until SIGTERM or Ctrl-C; 0 when every accepted request was answered."""
    from conveyor_server.lifecycle import serve

    return serve(settings)
