"""When a failed delivery is tried again."""

from collections.abc import Sequence
from datetime import timedelta

JITTER = 0.2  # a pause may be shorter by so much, so that what failed together does not come back together


def pause_after(attempts: int, pauses: Sequence[int], chance: float) -> timedelta | None:
    """How long to wait after so many attempts; None: no more of them. `chance` is at random from 0 up to 1."""
    if attempts > len(pauses):
        return None
    return timedelta(seconds=pauses[attempts - 1] * (1 - JITTER * chance))
