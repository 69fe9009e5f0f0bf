"""Creates, advances and deletes test clocks; `advance` is the simulated passing of time."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction

from core import timeline
from core.errors import InvalidRequest, NotFound
from customers.lifecycle import delete_customer
from customers.models import TestClock
from webhooks.events import record

DELETES_AFTER = timedelta(days=30)
LONGEST_ADVANCE = timedelta(days=731)  # two years, for a clock without subscriptions
BATCH = 100

Step = tuple[datetime, tuple[tuple[str, str], ...]]  # the instant, and what ran at it
Horizon = Callable[[TestClock], datetime | None]
_horizons: list[Horizon] = []
log = logging.getLogger(__name__)


def limit_advance(horizon: Horizon) -> None:
    """Let an upper app bound how far a clock may be advanced at once; called from `AppConfig.ready`."""
    _horizons.append(horizon)


def create_test_clock(*, frozen_time: datetime, at: datetime, name: str = "") -> TestClock:
    """Create a clock that shows `frozen_time`.

    Raises InvalidRequest in live mode.
    """
    if settings.LIVEMODE:
        raise InvalidRequest("Test clocks exist in test mode only.")
    with transaction.atomic():
        clock = TestClock.objects.create(
            name=name, frozen_time=frozen_time, created_at=at, deletes_after=at + DELETES_AFTER
        )
        _tell("created", clock, at)
    return clock


def start_advance(clock_id: str, *, frozen_time: datetime) -> TestClock:
    """Ask a clock to move to `frozen_time`; the move itself is `advance`, done by a worker.

    Raises NotFound; InvalidRequest when the time is not later, too far, or the clock is not ready.
    """
    with transaction.atomic():
        clock = lock_clock(clock_id)
        if clock.status != TestClock.Status.READY:
            raise InvalidRequest(f"The test clock is {clock.status}; it can be advanced when it is ready.")
        if frozen_time <= clock.frozen_time:
            raise InvalidRequest("The new frozen time must be later than the current one.", param="frozen_time")
        if frozen_time > (furthest := _furthest(clock)):
            raise InvalidRequest(
                "A test clock can be advanced by at most two intervals of the shortest subscription on it, or two "
                f"years without subscriptions; for this one that is until {int(furthest.timestamp())}.",
                param="frozen_time",
            )
        clock.status = TestClock.Status.ADVANCING
        clock.target_frozen_time = frozen_time
        clock.save(update_fields=["status", "target_frozen_time"])
        _tell("advancing", clock, clock.frozen_time)
        return clock


def advance(clock_id: str) -> None:
    """Carry an advancing clock to its target: one instant after the other, all work due at it in order.

    Each step is a transaction of its own, so a worker that dies leaves a clock which the next call carries on.
    Safe to call many times and at once. A step that fails, or gets nowhere, makes the clock an `internal_failure`.
    """
    done: Step | None = None
    while (step := _step(clock_id)) is not None:
        if step == done:
            log.error("test clock %s does not get past %s: %s", clock_id, *step)
            _fail(clock_id)
            return
        done = step


def delete_test_clock(clock_id: str, *, at: datetime) -> TestClock:
    """Delete a clock with its customers, whose subscriptions end; returns the row as it was.

    Raises NotFound; InvalidRequest while it advances.
    """
    with transaction.atomic():
        clock = lock_clock(clock_id)
        if clock.status == TestClock.Status.ADVANCING:
            raise InvalidRequest("The test clock is advancing; it can be deleted when it is ready.")
        for customer in clock.customers.live():
            delete_customer(customer.pk, at=at)
        _tell("deleted", clock, at)
        clock.deleted_at = at
        clock.save(update_fields=["deleted_at"])
        return clock


def lock_clock(clock_id: str) -> TestClock:
    clock = TestClock.objects.live().select_for_update().filter(pk=clock_id).first()
    if clock is None:
        raise NotFound("test clock", clock_id)
    return clock


def _furthest(clock: TestClock) -> datetime:
    bounds = [bound for horizon in _horizons if (bound := horizon(clock)) is not None]
    return min(bounds, default=clock.frozen_time + LONGEST_ADVANCE)


def _step(clock_id: str) -> Step | None:
    """Do the work of one instant and say what it was; None when this caller has nothing left to do.

    A lost database connection is not a failure of the clock: it goes to the caller, and a later call carries on.
    """
    try:
        with transaction.atomic():
            clock = TestClock.objects.select_for_update().filter(pk=clock_id, status=TestClock.Status.ADVANCING).first()
            if clock is None or clock.target_frozen_time is None:
                return None
            return _run_next_instant(clock, clock.target_frozen_time)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("advancing test clock %s failed", clock_id)
        _fail(clock_id)
        return None


def _run_next_instant(clock: TestClock, target: datetime) -> Step | None:
    instants = [at for work in timeline.works() if (at := work.next_at(clock.pk)) is not None]
    instant = min(instants, default=None)
    if instant is None or instant > target:
        clock.frozen_time, clock.status, clock.target_frozen_time = target, TestClock.Status.READY, None
        clock.save(update_fields=["frozen_time", "status", "target_frozen_time"])
        _tell("ready", clock, target)
        return None
    if instant > clock.frozen_time:
        clock.frozen_time = instant
        clock.save(update_fields=["frozen_time"])
    ran: list[tuple[str, str]] = []
    for work in timeline.works():
        for id in work.due(clock.frozen_time, clock.pk, BATCH):
            work.run(id, clock.frozen_time)
            ran.append((work.name, id))
    return clock.frozen_time, tuple(ran)


def _fail(clock_id: str) -> None:
    with transaction.atomic():
        clock = TestClock.objects.select_for_update().filter(pk=clock_id, status=TestClock.Status.ADVANCING).first()
        if clock is None:
            return
        clock.status, clock.target_frozen_time = TestClock.Status.INTERNAL_FAILURE, None
        clock.save(update_fields=["status", "target_frozen_time"])
        _tell("internal_failure", clock, clock.frozen_time)


def _tell(what: str, clock: TestClock, at: datetime) -> None:
    record(f"test_helpers.test_clock.{what}", "test_helpers.test_clock", clock, at=at)
