"""Tensors that pass through POSIX shared memory: the regions that callers registered, read and written.

Bytes are copied in and out by system calls, never mapped: a caller that shrinks its memory object gets an error,
where touching a mapping would end the process.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.parameters import whole_number
from conveyor_server.shortening import shortened

# Where Linux keeps what shm_open opens.
OBJECTS: Final = Path("/dev/shm")  # noqa: S108 -- not a place for temporary files here

# Of a tensor whose elements say their lengths themselves, so that nothing else tells how large it may be.
MAX_ELEMENTS_BYTES: Final = 64 * 1024 * 1024

_KEY: Final = re.compile(r"/?(?!\.{1,2}$)[^/\0]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where in which region a tensor stands; sizes in bytes."""

    region: str
    offset: int
    byte_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of a shared memory object, from `offset` on."""

    name: str
    key: str
    offset: int
    byte_size: int
    file: FileIO


class SharedMemory:
    """The registered regions, by name."""

    def __init__(self, objects: Path = OBJECTS, max_elements_bytes: int = MAX_ELEMENTS_BYTES) -> None:
        self._objects = objects
        self._max_elements_bytes = max_elements_bytes
        self._regions: dict[str, Region] = {}

    def register(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Opens a region. Raises ServingError when the name is taken or there is no such memory."""
        if not name or not byte_size:
            raise _invalid("a shared memory region needs a name and a size of at least 1 byte")
        if name in self._regions:
            raise ServingError(ErrorKind.ALREADY_EXISTS, f"shared memory region '{shortened(name)}' already in manager")
        file = self._open(key)
        if (size := os.fstat(file.fileno()).st_size) < offset + byte_size:
            file.close()
            what = f"region '{shortened(name)}' needs {offset + byte_size}"
            raise _invalid(f"shared memory '{shortened(key)}' has {size} bytes; {what}")
        self._regions[name] = Region(name=name, key=key, offset=offset, byte_size=byte_size, file=file)

    def unregister(self, name: str) -> None:
        """Forgets a region, or every one for an empty name. One that is unknown is no error."""
        for gone in [name] if name else list(self._regions):
            if region := self._regions.pop(gone, None):
                region.file.close()

    def regions(self, name: str) -> Iterator[Region]:
        """One region, or all for an empty name. Raises ServingError when it is unknown."""
        return iter([self._find(name)] if name else list(self._regions.values()))

    def read(self, placement: Placement) -> bytes:
        """The bytes at the place. Raises ServingError when they are outside the region, or gone."""
        region = self._find_around(placement)
        data = os.pread(region.file.fileno(), placement.byte_size, region.offset + placement.offset)
        if len(data) != placement.byte_size:
            raise _invalid(f"shared memory region '{shortened(region.name)}' is shorter than when it was registered")
        return data

    def read_elements(self, placement: Placement) -> bytes:
        """As `read`, of a BYTES tensor; it may be as large as a message. Raises ServingError."""
        if placement.byte_size > self._max_elements_bytes:
            raise _invalid(
                f"{placement.byte_size} bytes of shared memory for BYTES are over the limit of "
                f"{self._max_elements_bytes}, that of a message"
            )
        return self.read(placement)

    def write(self, placement: Placement, data: bytes) -> None:
        """Puts bytes at the place. Raises ServingError when they do not fit, or the region is gone."""
        region = self._find_around(placement)
        if len(data) > placement.byte_size:
            raise _invalid(
                f"shared memory region '{shortened(region.name)}': the output has {len(data)} bytes, over the "
                f"{placement.byte_size} that were set aside for it"
            )
        start, descriptor = region.offset + placement.offset, region.file.fileno()
        # Writing past the end would enlarge the caller's object.
        if os.fstat(descriptor).st_size < start + len(data):
            raise _invalid(f"shared memory region '{shortened(region.name)}' is shorter than when it was registered")
        os.pwrite(descriptor, data, start)

    def _open(self, key: str) -> FileIO:
        if not _KEY.fullmatch(key):
            raise _invalid(f"'{shortened(key)}' is not the name of a shared memory object, as '/name'")
        try:
            # Not blocking on what is no memory at all.
            file = FileIO(self._objects / key.lstrip("/"), "r+", opener=_open_without_following)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise _invalid(f"Unable to open shared memory region: '{shortened(key)}' ({reason})") from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise _invalid(f"Unable to open shared memory region: '{shortened(key)}' (it is no memory object)")
        return file

    def _find(self, name: str) -> Region:
        region = self._regions.get(name)
        if region is None:
            raise ServingError(ErrorKind.NOT_FOUND, f"Unable to find shared memory region: '{shortened(name)}'")
        return region

    def _find_around(self, placement: Placement) -> Region:
        region = self._find(placement.region)
        if placement.offset + placement.byte_size > region.byte_size:
            raise _invalid(
                f"Invalid offset + byte size for shared memory region: '{shortened(region.name)}' has "
                f"{region.byte_size} bytes, and {placement.offset} + {placement.byte_size} were asked for"
            )
        return region


def placement_of(parameters: Mapping[str, pb.InferParameter]) -> Placement | None:
    """Where the parameters of a tensor place it; None when it is not in shared memory. Raises ServingError."""
    if "shared_memory_region" not in parameters:
        return None
    region = parameters["shared_memory_region"]
    if region.WhichOneof("parameter_choice") != "string_param":
        raise _invalid("parameter 'shared_memory_region' is not a name, as string_param")
    byte_size = whole_number(parameters, "shared_memory_byte_size")
    if not byte_size:
        raise _invalid("parameter 'shared_memory_byte_size' is missing or 0")
    offset = whole_number(parameters, "shared_memory_offset")
    return Placement(region=region.string_param, offset=offset, byte_size=byte_size)


def _open_without_following(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)
