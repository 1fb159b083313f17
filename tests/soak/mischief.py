"""Callers who send what they should not, and those who come over HTTP: the rest of a mixed traffic."""

import asyncio
import random
from contextlib import suppress

import grpc
import numpy as np
from grpc import aio

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from conveyor_contract.preprocessing import encode_png
from tests.chaos.answers import MODEL
from tests.chaos.callers import OWN_CONNECTION, PNGS
from tests.chaos.tally import Tally
from tests.server.envoy.asking import image

CLASSIFY = "/conveyor.v1.ClassifierService/Classify"
# What bad input may be told. Never INTERNAL, never UNKNOWN.
VERDICTS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
PAUSE = 0.02
HTTP_SECONDS = 30.0
# A crowd: connections that ask for so many images each, and pages at the same time; enough for any worker to have more
# of both than its pools have threads.
CROWD = 16
CROWD_IMAGES = 16
CROWD_PAGES = 64


async def send_nonsense(address: str, tally: Tally) -> None:
    """One bad request after the other, until cancelled; whatever is not refused properly is noted as lost."""
    choice = random.Random(1)
    many = pb.ClassifyRequest(model_name=MODEL, images=[image(0)] * 300).SerializeToString()
    async with aio.insecure_channel(address, OWN_CONNECTION) as channel:
        call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CLASSIFY)
        while True:
            broken = bytearray(PNGS[0])
            broken[choice.randrange(len(broken))] ^= 0xFF
            payload = choice.choice(
                [
                    choice.randbytes(choice.randrange(200)),
                    many,
                    pb.ClassifyRequest(model_name="nobody", images=[image(0)]).SerializeToString(),
                    pb.ClassifyRequest(model_name=MODEL, images=[pb.Image(encoded=b"no image")]).SerializeToString(),
                    pb.ClassifyRequest(model_name=MODEL, images=[pb.Image(encoded=bytes(broken))]).SerializeToString(),
                ]
            )
            try:
                await call(payload, timeout=20)
            except aio.AioRpcError as error:
                if error.code() not in VERDICTS:
                    tally.note_lost(f"bad input was told {error.code().name}: {error.details()}")
            await asyncio.sleep(PAUSE)


async def look_over_http(address: str, tally: Tally) -> None:
    """Health and metrics over HTTP, until cancelled: what probes and a scraper do all day."""
    while True:
        for path in ("/healthz/live", "/healthz/ready", "/metrics"):
            # Between two workers, or with an unloaded model, nobody may be there or ready.
            with suppress(OSError, asyncio.IncompleteReadError):
                status = await _get(address, path)
                if status not in (200, 503):
                    tally.note_lost(f"GET {path} was answered with {status}")
        await asyncio.sleep(0.2)


async def crowd(address: str, http_address: str) -> None:
    """So much at once that the pools of threads of every worker grow to their limits. Whether it is answered is not
    what it is for."""
    large = encode_png(np.zeros((300, 300, 1), np.uint8))
    request = pb.ClassifyRequest(model_name=MODEL, images=[pb.Image(encoded=large)] * CROWD_IMAGES)

    async def classify() -> None:
        async with aio.insecure_channel(address, OWN_CONNECTION) as channel:
            with suppress(aio.AioRpcError):
                await ClassifierServiceStub(channel).Classify(request, timeout=HTTP_SECONDS)

    async def scrape() -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await _get(http_address, "/metrics")

    await asyncio.gather(*(classify() for _ in range(CROWD)), *(scrape() for _ in range(CROWD_PAGES)))


async def _get(address: str, path: str) -> int:
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(HTTP_SECONDS):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            status = int((await reader.readuntil(b"\r\n")).split()[1])
            await reader.read()
            return status
        finally:
            writer.close()
