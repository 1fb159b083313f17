"""Names of shared memory that try to leave the place where shared memory is."""

import os
from pathlib import Path

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference.shared_memory import Placement, SharedMemory

SECRET = b"not for callers!"


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """Where the objects are; beside it lies what nobody may reach."""
    folder = tmp_path / "shm"
    folder.mkdir()
    (folder / "honest").write_bytes(bytes(16))
    (folder / "sub").mkdir()
    (folder / "sub" / "inner").write_bytes(SECRET)
    (tmp_path / "secret").write_bytes(SECRET)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "link-to-a-folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize(
    "key",
    [
        "../secret",
        "/../secret",
        "//../secret",
        "..",
        ".",
        "",
        "/",
        "sub/inner",
        "/sub/inner",
        "sub/../../secret",
        "link",
        "/link",
        "link-to-a-folder",
        "link-to-a-folder/secret",
        "pipe",
        "sub",
        "honest\0",
        "\0",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "x" * 5000,
        "..\\secret",
        "％2e％2e/secret",
    ],
)
def test_no_name_leads_out_of_it(objects: Path, key: str) -> None:
    memory = SharedMemory(objects)
    with pytest.raises(ServingError) as refused:
        memory.register("region", key, 0, 16)
    assert refused.value.kind is ErrorKind.INVALID_ARGUMENT
    assert str(objects) not in str(refused.value)
    assert list(memory.regions("")) == []


@pytest.mark.parametrize("key", ["honest", "/honest"])
def test_an_honest_name_does(objects: Path, key: str) -> None:
    memory = SharedMemory(objects)
    memory.register("region", key, 0, 16)
    assert memory.read(Placement(region="region", offset=0, byte_size=16)) == bytes(16)
    memory.unregister("")


def test_elements_that_say_their_lengths_themselves_are_no_larger_than_a_message(objects: Path) -> None:
    memory = SharedMemory(objects, max_elements_bytes=8)
    memory.register("region", "honest", 0, 16)
    assert memory.read_elements(Placement(region="region", offset=0, byte_size=8)) == bytes(8)
    with pytest.raises(ServingError, match="9 bytes of shared memory"):
        memory.read_elements(Placement(region="region", offset=0, byte_size=9))
    memory.unregister("")


@pytest.mark.parametrize(("offset", "size"), [(0, 17), (16, 1), (2**63, 1), (1, 2**64 - 1), (2**64 - 1, 2**64 - 1)])
def test_no_region_is_larger_than_its_object(objects: Path, offset: int, size: int) -> None:
    with pytest.raises(ServingError, match="has 16 bytes"):
        SharedMemory(objects).register("region", "honest", offset, size)


@pytest.mark.parametrize(("offset", "size"), [(0, 9), (8, 1), (2**63, 1), (4, 2**64 - 1)])
def test_no_tensor_is_read_or_written_outside_its_region(objects: Path, offset: int, size: int) -> None:
    memory = SharedMemory(objects)
    memory.register("region", "honest", 4, 8)
    for use in (memory.read, lambda place: memory.write(place, b"x")):
        with pytest.raises(ServingError, match="Invalid offset"):
            use(Placement(region="region", offset=offset, byte_size=size))
    memory.unregister("region")
    assert (objects / "honest").read_bytes() == bytes(16)
