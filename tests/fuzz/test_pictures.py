"""Images that were spoiled on the way: each is read or refused by itself, and its neighbours never notice."""

import random

import grpc
import pytest

from conveyor.v1 import classifier_pb2 as pb
from tests.counts import count
from tests.fuzz.firing import BETRAYALS, resident_mib, wait_until_idle, wait_until_small
from tests.fuzz.pictures import spoiled, whole_pictures
from tests.fuzz.test_messages import LONG, check_that_it_lives, processes
from tests.server.envoy.asking import image, label_of
from tests.server.process import ServerProcess

IMAGES = 10
WHOLE = whole_pictures()
# What one image may be told.
ALLOWED = (0, grpc.StatusCode.INVALID_ARGUMENT.value[0], grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


def test_there_is_something_to_spoil() -> None:
    assert len(WHOLE) > 20


@pytest.mark.timeout(LONG)
@pytest.mark.parametrize("model", ["tiny", "colour"])
def test_a_spoiled_image_is_read_or_refused_by_itself(server: ServerProcess, model: str) -> None:
    before, choice = processes(server), random.Random(10)
    requests = max(1, count("fuzzed images") // IMAGES // 2)
    early, sound = 0.0, None
    for number in range(requests):
        images = [pb.Image(encoded=spoiled(choice, WHOLE)) for _ in range(IMAGES)]
        if model == "tiny":
            # One neighbour that is as it should be.
            images.append(image(0))
        answer = server.stub.Classify(pb.ClassifyRequest(model_name=model, images=images), timeout=60)
        assert len(answer.results) == len(images)
        for result in answer.results:
            assert result.error.code in ALLOWED, result.error
            assert not BETRAYALS.search(result.error.message), result.error
            assert str(server.repository) not in result.error.message
        if model == "tiny":
            label = label_of(answer.results[-1])
            assert sound in (None, label)
            sound = label
        if number == requests // 10:
            early = resident_mib(before)
    wait_until_idle(server)
    check_that_it_lives(server, before)
    wait_until_small(before, early * 1.1 + 10)
