"""Replaces the phases of a schedule from the current one on. What is past stays as it was."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.errors import InvalidRequest, ParameterMissing
from subscriptions.models import SchedulePhase, SubscriptionSchedule
from subscriptions.schedule_apply import change_current
from subscriptions.schedule_phases import KEPT, Frame, check_phase, make_phases
from subscriptions.schedule_run import move_on

GivenPhase = Mapping[str, Any]


def replace_phases(schedule: SubscriptionSchedule, given: Sequence[GivenPhase], *, behavior: str, at: datetime) -> None:
    """Let the phases from now on be these. Past ones may be among them, if they are as they were.

    The first of the others is the current phase if it starts when that did; one that starts now ends it. The caller
    holds the lock. Raises ParameterMissing, ResourceMissing, InvalidRequest.
    """
    stored = list(schedule.phases.all())
    past = [phase for phase in stored if phase.is_over]
    current = next((phase for phase in stored if phase.is_current), None)
    given = [_at_times(phase, at) for phase in given]
    skipped = _count_past(given, past)
    start = _start(given[skipped:], skipped, stored[len(past)], at)
    goes_on = current is not None and start == current.start_date
    subscription = schedule.subscription
    frame = Frame(
        schedule.customer,
        start,
        schedule.default_settings,
        day=subscription.anchor.wanted_day if subscription else None,
        position=len(past) + (current is not None and not goes_on),
        skipped=skipped,
    )
    phases = make_phases(given[skipped:], frame)
    schedule.phases.to_come().delete()
    if current is not None and goes_on:
        _change_current(schedule, current, phases.pop(0), frame, behavior=behavior, at=at)
    elif current is not None:
        current.end_date = start
        current.save(update_fields=["end_date"])
    store_phases(schedule, phases)
    _settle(schedule, at)


def resettle(schedule: SubscriptionSchedule, *, behavior: str, at: datetime) -> None:
    """Let new defaults hold in the current phase. The caller holds the lock.

    Raises ParameterMissing, InvalidRequest.
    """
    for phase in schedule.phases.filter(ended_at=None):
        check_phase(phase, schedule.default_settings)
    current = schedule.current_phase
    if current is not None and schedule.subscription is not None:
        change_current(schedule.subscription, current, schedule.default_settings, at=at, behavior=behavior)
    _settle(schedule, at)


def store_phases(schedule: SubscriptionSchedule, phases: Sequence[SchedulePhase]) -> None:
    for phase in phases:
        phase.schedule = schedule
    SchedulePhase.objects.bulk_create(phases)


def _at_times(phase: GivenPhase, at: datetime) -> dict[str, Any]:
    """The phase with an instant wherever it says "now"."""
    return {name: at if value == "now" else value for name, value in phase.items()}


def _count_past(given: Sequence[GivenPhase], past: Sequence[SchedulePhase]) -> int:
    """How many of the phases given are over, as they are known. Raises InvalidRequest where one has been changed."""
    known = {phase.start_date: phase for phase in past}
    for number, phase in enumerate(given):
        was = known.get(phase.get("start_date"))  # type: ignore[arg-type]
        if was is None:
            return number
        if phase.get("end_date", was.end_date) != was.end_date or _terms(phase["items"]) != _terms(was.items):
            raise InvalidRequest("A phase that is over cannot be changed.", param=f"phases[{number}]")
    return len(given)


def _terms(items: Sequence[Mapping[str, Any]]) -> list[tuple[str, int | None]]:
    """The prices of items with their quantities; one that is not said is as good as one."""
    return [(item["price"], 1 if item.get("quantity") is None else item["quantity"]) for item in items]


def _start(wanted: Sequence[GivenPhase], skipped: int, first: SchedulePhase, at: datetime) -> datetime:
    """When the first of the phases from now on begins; `first` is the one that is stored."""
    param = f"phases[{skipped}][start_date]"
    if not wanted:
        raise ParameterMissing("phases", "There must be a current phase, or one to come, besides those that are over.")
    start: datetime | None = wanted[0].get("start_date")
    if start is None:
        raise ParameterMissing(param, "The first phase must say when it starts, so that the others follow from it.")
    if first.is_current and start not in (first.start_date, at):
        raise InvalidRequest(
            f"The current phase has begun at {int(first.start_date.timestamp())}, which cannot be changed; a phase "
            "that is to take its place must start now.",
            param=param,
        )
    if not first.is_current and start < at:
        raise InvalidRequest("A schedule cannot start in the past.", param=param)
    return start


def _change_current(
    schedule: SubscriptionSchedule,
    current: SchedulePhase,
    made: SchedulePhase,
    frame: Frame,
    *,
    behavior: str,
    at: datetime,
) -> None:
    if made.end_date < at:
        raise InvalidRequest("The current phase cannot have ended.", param=f"phases[{frame.skipped}][end_date]")
    for name in ("end_date", "trial_end", *KEPT):
        setattr(current, name, getattr(made, name))
    current.save()
    assert schedule.subscription is not None, "a phase has begun"
    change_current(schedule.subscription, current, schedule.default_settings, at=at, behavior=behavior)


def _settle(schedule: SubscriptionSchedule, at: datetime) -> None:
    """Name the next instant of a schedule whose phases have changed, parked or not, and do what is due already."""
    current = schedule.phases.filter(begun_at__isnull=False, ended_at=None).first()
    schedule.next_at = current.end_date if current else schedule.phases.to_come()[0].start_date
    schedule.parked_at, schedule.parked_reason = None, ""
    schedule.save(update_fields=["next_at", "parked_at", "parked_reason"])
    while schedule.next_at is not None and schedule.next_at <= at:
        move_on(schedule, at=at)
