"""The files of a form, as browsers and `curl -F` send them."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.shortening import shortened

FORM: Final = "multipart/form-data"
# Read only to say that they should not be there.
MAX_FIELDS: Final = 16


# It writes a line for each broken form, which is its sender's affair.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormFile:
    """One file; the name is its sender's, and only comes back in the answer."""

    name: str
    content: bytes


class _InMemory(MultiPartParser):
    # The whole body is in memory already, and bounded: nothing is gained by temporary files.
    spool_max_size = 2**63


async def files_of(body: bytes, headers: Mapping[str, str], max_files: int) -> list[FormFile]:
    """The form's files in their order. Raises ServingError for a form that is broken or holds anything else."""
    try:
        form = await _InMemory(Headers(headers), _at_once(body), max_files=max_files, max_fields=MAX_FIELDS).parse()
    except MultiPartException as error:
        raise _invalid(f"the form cannot be read: {error.message.rstrip('.')}") from error
    files = []
    for name, part in form.multi_items():
        if not isinstance(part, UploadFile):
            raise _invalid(
                f"the form's field {shortened(name)!r} is no file; what is asked of the images belongs in the query"
            )
        files.append(FormFile(name=part.filename or "", content=await part.read()))
    return files


async def _at_once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)
