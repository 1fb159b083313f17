"""Errors with their causes in the log: so many a second, and then how many more there were."""

import logging

import pytest

from conveyor_server.calls import known_error
from conveyor_server.errors import ServingError
from conveyor_server.line_limit import MAX_LINES_PER_SECOND, LineLimit
from tests.server.scripted import Bench, in_loop

log = logging.getLogger("conveyor_server.test")


def test_errors_without_end_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    limit = LineLimit(lambda: now[0])
    written = [limit.write_error(log, ValueError(), "error %d", number) for number in range(MAX_LINES_PER_SECOND + 5)]
    assert written == [True] * MAX_LINES_PER_SECOND + [False] * 5
    assert len(caplog.records) == MAX_LINES_PER_SECOND
    assert all(record.exc_info for record in caplog.records)
    assert limit.write_error(log, ValueError(), "another %s", "error"), "another message has a limit of its own"
    now[0] = 1.0
    assert limit.write_error(log, ValueError(), "error %d", 99)
    assert caplog.messages[-1] == "error 99 left_out=5"


def test_unforeseen_errors_are_written_so_many_times_a_second(caplog: pytest.LogCaptureFixture) -> None:
    sentences = {str(known_error(ValueError())) for _ in range(20 * MAX_LINES_PER_SECOND)}
    # Two seconds may have begun meanwhile, on a slow machine some more.
    assert len(caplog.records) < 10 * MAX_LINES_PER_SECOND
    # Nobody is sent to look for a number that is not there.
    assert sum("the server's log has the cause" in sentence for sentence in sentences) > 0
    numbers = {str(record.args[0]) for record in caplog.records if isinstance(record.args, tuple)}
    told = {sentence.split()[2].rstrip(":") for sentence in sentences if "one of many" not in sentence}
    assert told == numbers


def test_batches_that_fail_are_written_so_many_times_a_second(caplog: pytest.LogCaptureFixture) -> None:
    @in_loop
    async def scenario() -> None:
        bench = Bench(batch=1)
        for number in range(2 * MAX_LINES_PER_SECOND):
            caller = bench.submit(number)
            await bench.settle()
            bench.instance.finish(RuntimeError())
            with pytest.raises(ServingError):
                await caller

    scenario()
    assert caplog.messages == ["a batch of 1 rows failed"] * MAX_LINES_PER_SECOND
