"""From images to requests: each prepared by itself, then gathered into calls of a size that any server takes."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conveyor.v1 import classifier_pb2
from conveyor_client.errors import ConveyorClientError, InvalidImage
from conveyor_client.images import image_message, image_name

if TYPE_CHECKING:
    from conveyor_client.images import ImageLike

# A call of classify_many: few enough to share a batch, and below gRPC's default limit of 4 MiB a message.
IMAGES_PER_CALL = 32
BYTES_PER_CALL = 3 * 1024 * 1024
CALLS_UNDER_WAY = 4
# Images of a stream that are sent and not yet given to the reader.
STREAM_WINDOW = 64


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is wanted for every image; an empty version is the one that the server chooses."""

    model: str
    version: str
    top_k: int


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One image, ready to send, or the reason why it is not. Position counts the images given, from 0."""

    position: int
    name: str
    message: classifier_pb2.Image | None
    error: ConveyorClientError | None = None


def prepare(image: "ImageLike", position: int) -> Prepared:
    """Reads one image; never raises for an image that cannot be used."""
    name = image_name(image, position)
    try:
        return Prepared(position=position, name=name, message=image_message(image))
    except InvalidImage as error:
        return Prepared(position=position, name=name, message=None, error=error)


async def prepare_async(image: "ImageLike", position: int) -> Prepared:
    """As prepare(); what has to be read from a file is read in a thread."""
    if isinstance(image, str | os.PathLike) or hasattr(image, "read"):
        return await asyncio.to_thread(prepare, image, position)
    return prepare(image, position)


class Grouping:
    """Gathers items, in their order, into groups that each make one call."""

    def __init__(self) -> None:
        self._items: list[Prepared] = []
        self._size = 0

    def add(self, item: Prepared) -> list[Prepared]:
        """Takes an item; gives back the group that was full before it, else nothing."""
        size = item.message.ByteSize() if item.message is not None else 0
        full = len(self._items) == IMAGES_PER_CALL or self._size + size > BYTES_PER_CALL
        done = self.rest() if full else []
        self._items.append(item)
        self._size += size
        return done

    def rest(self) -> list[Prepared]:
        """What has been gathered since the last full group."""
        done, self._items, self._size = self._items, [], 0
        return done


def sendable(items: Sequence[Prepared]) -> list[Prepared]:
    """Those that can be sent."""
    return [item for item in items if item.message is not None]


def classify_request(ask: Ask, items: Sequence[Prepared]) -> classifier_pb2.ClassifyRequest:
    """One request for items that can all be sent."""
    return classifier_pb2.ClassifyRequest(
        model_name=ask.model,
        model_version=ask.version,
        top_k=ask.top_k,
        images=[item.message for item in items if item.message is not None],
    )


def stream_request(ask: Ask, item: Prepared, *, first: bool) -> classifier_pb2.ClassifyStreamRequest:
    """One message of a stream; the first says what is asked, those after it need not."""
    if not first:
        return classifier_pb2.ClassifyStreamRequest(item_id=item.position, image=item.message)
    return classifier_pb2.ClassifyStreamRequest(
        item_id=item.position,
        image=item.message,
        model_name=ask.model,
        model_version=ask.version,
        top_k=ask.top_k,
    )
