"""Makes schedules, from phases or from a subscription that runs, and changes what is still to come of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound, ResourceMissing
from subscriptions.locks import lock_for_change
from subscriptions.models import ItemPeriod, SchedulePhase, Subscription, SubscriptionSchedule
from subscriptions.schedule_change import replace_phases, resettle, store_phases
from subscriptions.schedule_follow import KIND, state_of
from subscriptions.schedule_phases import Frame, default_settings, make_phases
from subscriptions.schedule_run import lock_live, move_on, plan_end, telling_both
from subscriptions.subscribe import lock_subscriber
from webhooks.events import record, take_place, telling

Status = SubscriptionSchedule.Status


@dataclass(frozen=True)
class ScheduleSpec:
    """A schedule as asked for; it starts now where `start_date` is None."""

    phases: Sequence[Mapping[str, Any]]
    start_date: datetime | None = None
    end_behavior: str = SubscriptionSchedule.EndBehavior.RELEASE
    default_settings: Mapping[str, Any] = field(default_factory=dict)
    billing_mode: str = SubscriptionSchedule.BillingMode.FLEXIBLE
    proration_discounts: str = Subscription.ProrationDiscounts.INCLUDED
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScheduleChange:
    """What an update says; None leaves things as they are. `behavior` prorates a change of the current phase."""

    phases: Sequence[Mapping[str, Any]] | None = None
    end_behavior: str | None = None
    default_settings: Mapping[str, Any] | None = None
    metadata: Given = None
    behavior: str = SchedulePhase.ProrationBehavior.CREATE_PRORATIONS


def create_schedule(customer_id: str, *, spec: ScheduleSpec, at: datetime) -> SubscriptionSchedule:
    """Schedule a subscription for a customer; one that starts now begins it at once.

    Raises ResourceMissing, ParameterMissing, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        customer, place = lock_subscriber(customer_id), take_place()
        at = customer.now(at).replace(microsecond=0)
        start, defaults = spec.start_date or at, default_settings(spec.default_settings)
        phases = make_phases(spec.phases, Frame(customer, start, defaults))
        _check_first(phases[0], at)
        schedule = SubscriptionSchedule.objects.create(
            customer=customer,
            end_behavior=spec.end_behavior,
            billing_mode=spec.billing_mode,
            proration_discounts=spec.proration_discounts,
            default_settings=defaults,
            metadata=dict(spec.metadata),
            next_at=start,
            created_at=at,
        )
        store_phases(schedule, phases)
        if start <= at:
            move_on(schedule, at=at)
        record(f"{KIND}.created", KIND, schedule, at=at, place=place)
        return schedule


def adopt_subscription(subscription_id: str, *, at: datetime, metadata: Mapping[str, str]) -> SubscriptionSchedule:
    """Put a running subscription under a schedule whose one phase is what it is now, up to the end of its period.

    Raises ResourceMissing, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        try:
            subscription, at = lock_for_change(subscription_id, at)
        except NotFound as error:
            raise ResourceMissing("subscription", subscription_id, param="from_subscription") from error
        at = at.replace(microsecond=0)
        _check_adoptable(subscription)
        phase, defaults = _as_phase(subscription, at)
        ends = subscription.cancel_at is not None
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            schedule = SubscriptionSchedule.objects.create(
                customer=subscription.customer,
                subscription=subscription,
                status=Status.ACTIVE,
                end_behavior="cancel" if ends else "release",
                billing_mode=subscription.billing_mode,
                proration_discounts=subscription.proration_discounts,
                default_settings=defaults,
                metadata=dict(metadata),
                next_at=phase.end_date,
                created_at=at,
            )
            store_phases(schedule, [phase])
            record(f"{KIND}.created", KIND, schedule, at=at)
        return schedule


def update_schedule(schedule_id: str, change: ScheduleChange, *, at: datetime) -> SubscriptionSchedule:
    """Change a schedule from its current phase on; what the current phase becomes holds at once.

    Raises NotFound, ParameterMissing, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        schedule, at = lock_live(schedule_id, at, "updated")
        with telling_both(schedule, at):
            _change(schedule, change, at)
        return schedule


def _change(schedule: SubscriptionSchedule, change: ScheduleChange, at: datetime) -> None:
    schedule.metadata = merge(schedule.metadata, change.metadata)
    schedule.end_behavior = change.end_behavior or schedule.end_behavior
    if change.default_settings is not None:
        schedule.default_settings = default_settings({**schedule.default_settings, **change.default_settings})
    schedule.save()
    if change.phases is not None:
        replace_phases(schedule, change.phases, behavior=change.behavior, at=at)
    elif change.default_settings is not None:
        resettle(schedule, at=at, behavior=change.behavior)
    if schedule.is_active and schedule.next_at is not None:
        plan_end(schedule, at=at, prorate=change.behavior != "none")


def _check_first(phase: SchedulePhase, at: datetime) -> None:
    """Raises InvalidRequest for a start so far back that the first phase is over."""
    if phase.end_date <= at:
        raise InvalidRequest(
            "The first phase of a schedule that starts in the past must not be over.", param="start_date"
        )


def _check_adoptable(subscription: Subscription) -> None:
    param = "from_subscription"
    if subscription.has_ended:
        raise InvalidRequest("A subscription that has ended cannot be scheduled.", param=param)
    found = SubscriptionSchedule.objects.filter(subscription=subscription).first()
    if found is not None:
        raise InvalidRequest(
            f"The subscription {subscription.pk} has a subscription schedule already: {found.pk}.", param=param
        )


def _as_phase(subscription: Subscription, at: datetime) -> tuple[SchedulePhase, dict[str, Any]]:
    """The current state of a subscription as a phase from the start of its period to its end, and as defaults."""
    state = state_of(subscription, at)
    names = ("collection_method", "invoice_settings", "description", "billing_thresholds")
    defaults = {name: state.pop(name) for name in names}
    running = ItemPeriod.objects.open().filter(item__subscription=subscription)
    trial = subscription.trial_end if subscription.trial_end and subscription.trial_end > at else None
    end = subscription.cancel_at or running.earliest_end()
    assert end is not None, "a subscription that runs has open periods"
    phase = SchedulePhase(
        position=0,
        start_date=min(running.values_list("starts_at", flat=True)),
        end_date=end,
        begun_at=at,
        currency=subscription.currency,
        trial_end=trial if trial and trial <= end else None,
        **state,
    )
    return phase, default_settings(defaults)
