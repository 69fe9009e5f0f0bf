"""How many calls a key may make: a token bucket each, in this process, counted in whole numbers.

A bucket is one number, the moment at which it will be full again. A call moves it on by the time that one call takes
at the rate; a bucket that is then more than its size away from full had no token left, and the call is refused.
Each web process has its share of the rate, so nothing has to be asked of anybody else.
"""

import threading
import time
from typing import NamedTuple

from django.conf import settings

from api.errors import RateLimited
from api.permissions import METERING

SECOND = 1_000_000_000  # of the monotonic clock
PRUNED_AT = 1_000  # buckets


class Rate(NamedTuple):
    """`per_second` calls, and as many as two seconds bring at once; `processes` share it.

    name: calls under different names of one key do not count against each other.
    """

    name: str
    per_second: int
    processes: int = 1

    @property
    def burst(self) -> int:
        """Calls at once in one process. Of a second's worth at least: retries come in whole seconds."""
        return max(1, -(-2 * self.per_second // self.processes))


def rate_of(own: int | None, permission: str | None) -> Rate | None:
    """The rate for a call: of the key if it has one, else from the settings; None is without a limit."""
    processes = settings.WEB_WORKERS
    if own is not None:
        return Rate("own", own, processes)
    metering = permission == METERING
    allowed = settings.METERING_RATE_LIMIT_PER_SECOND if metering else settings.RATE_LIMIT_PER_SECOND
    return Rate("metering" if metering else "general", allowed, processes) if allowed else None


class Buckets:
    """The buckets of one process. Buckets that are full again are forgotten, so only busy keys take memory."""

    def __init__(self) -> None:
        # (key, rate) -> when it is full again, in nanoseconds times the rate: so that no division loses anything.
        self._full_at: dict[tuple[str, Rate], int] = {}
        self._guard = threading.Lock()  # held for a few additions
        self._prune_at = PRUNED_AT

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: str, rate: Rate, now: int) -> int:
        """Take a token at `now` (monotonic nanoseconds): 0, or the nanoseconds until there is one."""
        moment, cost = now * rate.per_second, SECOND * rate.processes
        with self._guard:
            full_at = max(self._full_at.get((key, rate), moment), moment) + cost
            late = full_at - moment - rate.burst * cost
            if late > 0:
                return -(-late // rate.per_second)
            self._full_at[key, rate] = full_at
            if len(self._full_at) >= self._prune_at:
                self._prune(now)
        return 0

    def _prune(self, now: int) -> None:
        busy = {(key, rate): at for (key, rate), at in self._full_at.items() if at > now * rate.per_second}
        self._full_at, self._prune_at = busy, max(PRUNED_AT, 2 * len(busy))


BUCKETS = Buckets()


def count(key: str, *, rate: Rate | None) -> None:
    """Count one call under `key`.

    Raises: RateLimited.
    """
    if rate is None:
        return
    wait = BUCKETS.take(key, rate, time.monotonic_ns())
    if wait:
        raise RateLimited(rate.per_second, retry_after=-(-wait // SECOND))
