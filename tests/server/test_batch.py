"""Merge, split and pad as properties: whatever the interleaving, every caller gets exactly its own rows back."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor_server.batch import Batch, PendingRequest, Segment, bucket_for, pad
from tests.counts import count


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Futures belong to a loop; nothing here runs it."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def pending(loop: asyncio.AbstractEventLoop, first: int, count: int) -> PendingRequest:
    """A request whose rows carry the numbers from `first` on."""
    rows = np.arange(first, first + count, dtype=np.float32).reshape(count, 1)
    return PendingRequest(rows=rows, reply=loop.create_future(), arrived_at=0.0, submitted_at=0.0)


@settings(max_examples=count("batch arithmetic examples"), deadline=None)
@given(counts=st.lists(st.integers(1, 12), min_size=1, max_size=12), limit=st.integers(1, 9), data=st.data())
def test_every_row_comes_back_to_its_own_request_in_order(
    loop: asyncio.AbstractEventLoop, counts: list[int], limit: int, data: st.DataObject
) -> None:
    requests = [pending(loop, 100 * index, count) for index, count in enumerate(counts)]
    batches = []
    queue = list(requests)
    while queue:
        segments: list[Segment] = []
        room = limit
        while room and queue:
            segments.append(queue[0].take(room, 0.0))
            room -= segments[-1].size
            if not queue[0].waiting:
                queue.pop(0)
        batches.append(Batch(segments=segments, size=limit - room))

    whole = {}
    for batch in data.draw(st.permutations(batches)):
        assert 1 <= batch.size <= limit
        merged = batch.merge()
        assert len(merged) == batch.size
        for segment, output in zip(batch.segments, batch.split(merged * 2), strict=True):
            outcome = segment.request.add_output(segment.start, output, 0.001, batch.size)
            if outcome is not None:
                assert segment.request not in whole
                whole[segment.request] = outcome.output

    assert set(whole) == set(requests)
    for request in requests:
        np.testing.assert_array_equal(whole[request], request.rows * 2)
    assert sum(batch.size for batch in batches) == sum(counts)
    assert len(batches) == -(-sum(counts) // limit)  # no batch is left emptier than it must be


def test_an_output_with_another_row_count_is_refused(loop: asyncio.AbstractEventLoop) -> None:
    request = pending(loop, 0, 3)
    batch = Batch(segments=[request.take(3, 0.0)], size=3)
    with pytest.raises(ValueError, match="3 rows gave 2"):
        batch.split(np.zeros((2, 1)))


@given(size=st.integers(1, 32), buckets=st.lists(st.integers(1, 32), min_size=1).map(lambda b: sorted({*b, 32})))
def test_the_smallest_bucket_that_holds_the_rows_is_taken(size: int, buckets: list[int]) -> None:
    bucket = bucket_for(size, buckets)
    assert bucket >= size
    assert not [other for other in buckets if size <= other < bucket]


def test_more_rows_than_the_largest_bucket_are_refused() -> None:
    with pytest.raises(ValueError, match="9 rows do not fit"):
        bucket_for(9, [1, 8])


@given(size=st.integers(1, 8), extra=st.integers(0, 8))
def test_padding_keeps_the_rows_and_adds_zeros(size: int, extra: int) -> None:
    rows = np.full((size, 2, 3), 7, np.uint8)
    padded = pad(rows, size + extra)
    assert padded.shape == (size + extra, 2, 3)
    assert padded.dtype == rows.dtype
    assert (padded[:size] == 7).all()
    assert not padded[size:].any()
