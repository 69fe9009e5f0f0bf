"""Token buckets, against a count of every call in a sliding window."""

import itertools
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import limits
from api.errors import RateLimited
from api.limits import SECOND, Buckets, Rate, rate_of

START = 1_000_000 * SECOND


def test_a_burst_and_then_the_rate() -> None:
    buckets, rate = Buckets(), Rate("own", 10)
    assert [buckets.take("k", rate, START) for _ in range(20)] == [0] * 20
    assert buckets.take("k", rate, START) == SECOND // 10
    assert buckets.take("k", rate, START + SECOND // 10 - 1) == 1  # a refusal costs nothing
    assert buckets.take("k", rate, START + SECOND // 10) == 0
    assert buckets.take("k", rate, START + SECOND // 10) == SECOND // 10
    assert buckets.take("other", rate, START) == 0
    assert buckets.take("k", Rate("metering", 10), START) == 0


def test_processes_share_a_rate() -> None:
    rate = Rate("own", 10, processes=4)
    assert rate.burst == 5
    buckets = Buckets()
    assert [buckets.take("k", rate, START) for _ in range(6)] == [0] * 5 + [SECOND * 4 // 10]
    assert Rate("own", 1, processes=64).burst == 1


@settings(deadline=None)
@given(
    st.integers(1, 7),
    st.integers(1, 3),
    st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=60),
)
def test_no_call_more_and_none_less_than_the_rate_allows(per_second: int, processes: int, gaps: list[int]) -> None:
    """Whatever the moments: a fold with exact fractions of tokens decides alike."""
    buckets, rate = Buckets(), Rate("own", per_second, processes)
    tokens, last = rate.burst * SECOND * processes, START  # in SECOND * processes
    for now in itertools.accumulate(gaps, initial=START):
        tokens = min(rate.burst * SECOND * processes, tokens + (now - last) * per_second)
        last = now
        wait = buckets.take("k", rate, now)
        if tokens >= SECOND * processes:
            tokens -= SECOND * processes
            assert wait == 0
        else:
            assert wait == -(-(SECOND * processes - tokens) // per_second)


def test_only_busy_keys_take_memory() -> None:
    buckets, rate = Buckets(), Rate("own", 10)
    for n in range(50_000):
        assert buckets.take(f"key {n}", rate, START + n * SECOND // 1000) == 0
    assert len(buckets) <= limits.PRUNED_AT


def test_threads_get_no_more_than_there_is() -> None:
    buckets, rate, got = Buckets(), Rate("own", 1000), []

    def take() -> None:
        got.extend(buckets.take("k", rate, START) for _ in range(1000))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got.count(0) == 2000


def test_which_rate_a_call_has(settings: Any) -> None:
    settings.RATE_LIMIT_PER_SECOND, settings.METERING_RATE_LIMIT_PER_SECOND, settings.WEB_WORKERS = 200, 0, 2
    assert rate_of(None, "customers:read") == Rate("general", 200, 2)
    assert rate_of(None, None) == Rate("general", 200, 2)
    assert rate_of(None, "meter_events:write") is None
    assert rate_of(5, "meter_events:write") == rate_of(5, "customers:read") == Rate("own", 5, 2)
    settings.METERING_RATE_LIMIT_PER_SECOND = 1000
    assert rate_of(None, "meter_events:write") == Rate("metering", 1000, 2)


def test_a_refusal_says_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUCKETS", Buckets())
    monkeypatch.setattr(limits.time, "monotonic_ns", lambda: START)
    rate = Rate("own", 1, processes=5)
    limits.count("k", rate=rate)
    with pytest.raises(RateLimited) as refused:
        limits.count("k", rate=rate)
    assert refused.value.retry_after == 5
    limits.count("k", rate=None)
