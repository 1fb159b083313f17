"""The rate of one caller: never more than it may, all that it may, and no memory without end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor_server.doors.rate import MAX_CALLERS, RateLimiter, network_of


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=200), st.floats(0.1, 100.0), st.integers(1, 20))
def test_in_no_stretch_of_time_more_calls_than_rate_and_burst(pauses: list[float], rate: float, burst: int) -> None:
    clock = Clock()
    limiter = RateLimiter(rate, burst, clock)
    taken = []
    for pause in pauses:
        clock.now += pause
        wait = limiter.take("somebody")
        if wait == 0.0:
            taken.append(clock.now)
        else:
            # What it was told is the truth: then, and not before.
            assert limiter.take("somebody") == pytest.approx(wait)
    for index, start in enumerate(taken):
        for count, end in enumerate(taken[index:], start=1):
            assert count <= burst + rate * (end - start) + 1e-6


def test_who_waits_as_long_as_it_was_told_is_let_in() -> None:
    clock = Clock()
    limiter = RateLimiter(10.0, 2, clock)
    assert [limiter.take("a"), limiter.take("a")] == [0.0, 0.0]
    wait = limiter.take("a")
    clock.now += wait + 1e-9
    assert limiter.take("a") == 0.0
    assert limiter.take("b") == 0.0


def test_callers_without_end_take_no_memory_without_end() -> None:
    clock = Clock()
    limiter = RateLimiter(0.001, 1, clock)
    for number in range(2 * MAX_CALLERS):
        assert limiter.take(f"caller {number}") == 0.0
        assert len(limiter) <= MAX_CALLERS
    # Who came last is still known.
    assert limiter.take(f"caller {2 * MAX_CALLERS - 1}") > 0.0


def test_who_has_been_away_is_forgotten_first() -> None:
    clock = Clock()
    limiter = RateLimiter(1.0, 1, clock)
    for number in range(MAX_CALLERS - 1):
        limiter.take(f"caller {number}")
    clock.now += 5
    limiter.take("busy")
    limiter.take("new")
    assert len(limiter) == 2
    assert limiter.take("busy") > 0.0


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("ipv4:127.0.0.1:5000", "127.0.0.1"),
        ("ipv6:%5B::1%5D:5000", "::/64"),
        ("ipv6:[2001:db8:1:2:3::4]:5000", "2001:db8:1:2::/64"),
        ("ipv6:[fe80::1%25eth0]:5000", "fe80::/64"),
        ("unix:", "unix:"),
        ("unknown", "unknown"),
        ("ipv6:nonsense:1", "nonsense"),
    ],
)
def test_of_an_address_counts_what_a_caller_cannot_change(peer: str, network: str) -> None:
    assert network_of(peer) == network
