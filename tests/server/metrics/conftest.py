"""Each engine in turn, and a repository for servers of a test's own."""

from tests.server.http.conftest import engine, models

__all__ = ["engine", "models"]
