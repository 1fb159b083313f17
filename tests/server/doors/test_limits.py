"""Each limit on what a caller may send, and somebody who tries to get past it."""

import io
import mmap
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from conveyor_server.inference import inference_pb2
from tests.server.doors.secure import IMAGE, REQUEST
from tests.server.process import ServerProcess, running

EXHAUSTED, INVALID = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT
MAX_MESSAGE_BYTES, MAX_PIXELS, MAX_IMAGES, STREAMS, CONNECTIONS = 100_000, 10_000, 5, 3, 12
MAX_BATCH_SIZE = 8


@pytest.fixture(scope="module")
def server(engine: str, models: Path) -> Iterator[ServerProcess]:
    limits = {
        "max-message-bytes": MAX_MESSAGE_BYTES,
        "max-pixels": MAX_PIXELS,
        "max-images-per-request": MAX_IMAGES,
        "max-connections": CONNECTIONS,
    }
    flags = [word for name, value in limits.items() for word in (f"--{name}", str(value))]
    with running(models, "--engine", engine, *flags) as process:
        yield process


def refusal(server: ServerProcess, request: pb.ClassifyRequest) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        server.stub.Classify(request, timeout=20)
    details = refused.value.details() or ""
    assert "Traceback" not in details
    assert ".py" not in details
    return refused.value.code(), details


def image_file(format_: str, width: int = 8, height: int = 8, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), 128).save(buffer, format_, **options)
    return buffer.getvalue()


def request_of(*encoded: bytes) -> pb.ClassifyRequest:
    return pb.ClassifyRequest(model_name="tiny", images=[pb.Image(encoded=content) for content in encoded])


def png_that_says(width: int, height: int, compressed: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")


def with_size(content: bytes, old: bytes, new: bytes) -> bytes:
    assert content.count(old) >= 1
    return content.replace(old, new, 1)


def many_frames(format_: str) -> bytes:
    frames = [Image.new("P" if format_ == "GIF" else "RGB", (90, 90), number % 256) for number in range(200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format_, save_all=True, append_images=frames[1:], duration=10)
    return buffer.getvalue()


ZEROS = zlib.compress(bytes(50_000_000), 9)
BOMBS = {
    # Few bytes that say that they are many pixels, and some that are.
    "a PNG's header": png_that_says(2**31 - 1, 2**31 - 1, zlib.compress(b"")),
    "a PNG of zeros": png_that_says(50_000, 1_000, ZEROS),
    "a PNG that is larger than it says": png_that_says(8, 8, ZEROS),
    "a JPEG's header": with_size(
        image_file("JPEG", 16, 24), struct.pack(">HH", 24, 16), struct.pack(">HH", 65_000, 65_000)
    ),
    "a BMP's header": with_size(
        image_file("BMP", 16, 24), struct.pack("<ii", 16, 24), struct.pack("<ii", 2**30, 2**30)
    ),
    "a BMP of negative height": with_size(
        image_file("BMP", 16, 24), struct.pack("<ii", 16, 24), struct.pack("<ii", 60_000, -60_000)
    ),
    "a WebP": image_file("WEBP", 8_000, 8_000, lossless=True),
    "a text chunk of a PNG": png_that_says(8, 8, zlib.compress(bytes(72)))[:33]
    + struct.pack(">I", len(ZEROS) + 6)
    + b"zTXt"
    + b"bomb\x00\x00"
    + ZEROS
    + struct.pack(">I", zlib.crc32(b"zTXtbomb\x00\x00" + ZEROS))
    + png_that_says(8, 8, zlib.compress(bytes(72)))[33:],
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_nobody_else_notices(server: ServerProcess, name: str) -> None:
    before, began = resident_bytes(server.pid), time.monotonic()
    harmless = {"a PNG that is larger than it says", "a text chunk of a PNG"}
    try:
        server.stub.Classify(request_of(BOMBS[name]), timeout=20)
        assert name in harmless
    except grpc.RpcError as error:
        assert error.code() is INVALID, error
    assert time.monotonic() - began < 5
    assert resident_bytes(server.pid) - before < 200_000_000
    assert server.stub.Classify(REQUEST, timeout=20).results


def resident_bytes(pid: int) -> int:
    """Of the server's process and of those that it started."""
    own = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * mmap.PAGESIZE
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(resident_bytes(int(child)) for child in children)


def test_of_many_frames_only_the_first_is_decoded(server: ServerProcess) -> None:
    began = time.monotonic()
    assert server.stub.Classify(request_of(many_frames("WEBP")), timeout=20).results
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("format_", ["GIF", "TIFF", "PPM", "ICO", "TGA"])
def test_formats_that_are_not_allowed_are_not_decoded(server: ServerProcess, format_: str) -> None:
    code, details = refusal(server, request_of(image_file(format_)))
    assert code is INVALID
    assert "expected a whole PNG, JPEG, WEBP or BMP file" in details


def test_the_allowed_formats_can_be_chosen(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--image-formats", "png,gif") as server:
        for format_ in ("PNG", "GIF"):
            assert server.stub.Classify(request_of(image_file(format_)), timeout=20).results
        assert refusal(server, request_of(image_file("JPEG")))[0] is INVALID


def test_a_message_over_the_limit_is_refused_packed_or_not(server: ServerProcess) -> None:
    request = request_of(bytes(MAX_MESSAGE_BYTES))
    assert refusal(server, request)[0] is EXHAUSTED
    with pytest.raises(grpc.RpcError) as refused:
        server.stub.Classify(request, timeout=20, compression=grpc.Compression.Gzip)
    assert refused.value.code() is EXHAUSTED
    assert server.stub.Classify(REQUEST, timeout=20).results


def test_more_rows_than_one_request_may_have_are_refused(server: ServerProcess) -> None:
    tensor = pb.Image(tensor=model_pb2.Tensor(datatype="UINT8", shape=[8, 8, 1], data=bytes(64)))
    for image in (IMAGE, tensor, pb.Image(encoded=image_file("PNG"))):
        assert refusal(server, pb.ClassifyRequest(model_name="tiny", images=[image] * (MAX_IMAGES + 1)))[0] is INVALID
    for rows in (MAX_BATCH_SIZE + 1, 2**40, -1):
        infer: Any = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        request = inference_pb2.ModelInferRequest(
            model_name="tiny", raw_input_contents=[bytes(64 * (MAX_BATCH_SIZE + 1))]
        )
        request.inputs.add(name="image", datatype="UINT8", shape=[rows, 8, 8, 1])
        with pytest.raises(grpc.RpcError) as refused:
            infer(request.SerializeToString(), timeout=20)
        assert refused.value.code() is INVALID


def test_more_connections_than_allowed_are_closed(server: ServerProcess) -> None:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    channels = [grpc.insecure_channel(server.address, options) for _ in range(CONNECTIONS + 4)]
    try:
        answered = 0
        for channel in channels:
            try:
                ClassifierServiceStub(channel).Classify(REQUEST, timeout=3)
                answered += 1
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        assert 0 < answered <= CONNECTIONS
        # Those that were there before are still served.
        assert server.stub.Classify(REQUEST, timeout=20).results
    finally:
        for channel in channels:
            channel.close()


def test_no_more_calls_at_a_time_than_allowed_on_one_connection(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--max-concurrent-streams", str(STREAMS)) as server:
        watch: Any = server.channel.unary_stream("/grpc.health.v1.Health/Watch")
        watching = [watch(b"") for _ in range(STREAMS)]
        for call in watching:
            assert next(call)
        with pytest.raises(grpc.RpcError) as waited:
            server.stub.Classify(REQUEST, timeout=1)
        assert waited.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        watching[0].cancel()
        assert server.stub.Classify(REQUEST, timeout=20).results
        for call in watching:
            call.cancel()


RATE, BURST = 5, 4


def test_one_caller_does_not_get_past_its_rate(engine: str, models: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("one\ntwo\n")
    flags = ("--inference-token-file", str(tokens), "--rate-limit", str(RATE), "--rate-burst", str(BURST))
    with running(models, "--engine", engine, *flags) as server:
        one, two = [("authorization", "Bearer one")], [("x-api-key", "two")]
        began = time.monotonic()
        codes, hints = [], []
        for number in range(40):
            # Neither other connections nor other headers help.
            with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                try:
                    ClassifierServiceStub(channel).Classify(
                        REQUEST, timeout=20, metadata=(*one, ("x-number", str(number)))
                    )
                    codes.append(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    codes.append(error.code())
                    trailing: Any = error.trailing_metadata()
                    hints += [int(value) for key, value in trailing if key == "grpc-retry-pushback-ms"]
        allowed = BURST + RATE * (time.monotonic() - began)
        assert BURST <= codes.count(grpc.StatusCode.OK) <= allowed + 1
        assert codes.count(EXHAUSTED) == len(hints) == len(codes) - codes.count(grpc.StatusCode.OK)
        assert all(0 < hint <= 1000 / RATE for hint in hints)
        assert server.stub.Classify(REQUEST, timeout=20, metadata=tuple(two)).results
        # Who tries out tokens is held to the rate by its address.
        guesses = [code_with(server, f"guess-{number}") for number in range(20)]
        assert set(guesses) == {grpc.StatusCode.UNAUTHENTICATED, EXHAUSTED}
        assert server.health() == 1


def code_with(server: ServerProcess, token: str) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as refused:
        server.stub.Classify(REQUEST, timeout=20, metadata=(("authorization", f"Bearer {token}"),))
    return refused.value.code()


def test_the_messages_of_a_stream_are_read_at_the_rate(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--rate-limit", "20", "--rate-burst", "1") as server:
        began = time.monotonic()
        items = (pb.ClassifyStreamRequest(item_id=number, model_name="tiny", image=IMAGE) for number in range(21))
        answers = list(server.stub.ClassifyStream(items, timeout=60))
        assert sorted(answer.item_id for answer in answers) == list(range(21))
        assert time.monotonic() - began >= 20 / 20 * 0.95
