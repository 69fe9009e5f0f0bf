import itertools
from datetime import timedelta

import pytest
from django.conf import settings

from webhooks.retries import pause_after

LIVE = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 72000)


def test_ten_attempts_over_three_days() -> None:
    latest = [pause_after(number, LIVE, 0) for number in range(1, 11)]
    assert latest[-1] is None
    assert latest[:3] == [timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)]
    total = sum(filter(None, latest), timedelta())
    assert timedelta(days=2, hours=20) < total < timedelta(days=3)
    assert all(a < b for a, b in itertools.pairwise(latest[:8]))  # type: ignore[operator]


def test_a_test_installation_tries_three_times_over_a_few_hours() -> None:
    assert len(settings.WEBHOOKS_RETRY_SECONDS) == 2
    assert sum(settings.WEBHOOKS_RETRY_SECONDS) == pytest.approx(3 * 3600, rel=0.1)


def test_jitter_only_shortens() -> None:
    assert pause_after(2, (10, 100), 0.5) == timedelta(seconds=90)
    assert pause_after(2, (10, 100), 0.999) > timedelta(seconds=80)  # type: ignore[operator]
