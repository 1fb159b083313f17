"""The index: what it says of names that it does not hold."""

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.index import MAX_NAME, Index


def test_for_a_name_that_no_folder_can_have_no_likeness_is_sought() -> None:
    index = Index()
    index.is_known = True
    with pytest.raises(ServingError, match=f"has at most {MAX_NAME} characters, and this one 50000000") as error:
        index.entry("x" * 50_000_000, "")
    assert error.value.kind is ErrorKind.NOT_FOUND
