"""What is told of subscriptions and schedules before their time has come."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Max, OuterRef, QuerySet, Subquery

from subscriptions.locks import lock_subscription
from subscriptions.models import SchedulePhase, Subscription, SubscriptionSchedule
from subscriptions.schedule_follow import KIND
from subscriptions.schedule_run import lock_schedule
from webhooks.events import record
from webhooks.reminders import Reminder

# As on Stripe. Of a trial, or a schedule, that is shorter it is told at once.
BEFORE_TRIAL_END = timedelta(days=3)
BEFORE_EXPIRY = timedelta(days=7)


def _trialing() -> QuerySet[Any]:
    return Subscription.objects.filter(status=Subscription.Status.TRIALING).annotate(instant=F("trial_end"))


def _tell_trial(id: str, at: datetime) -> None:
    record("customer.subscription.trial_will_end", "subscription", Subscription.objects.get(pk=id), at=at)


def _expiring() -> QuerySet[Any]:
    phases = SchedulePhase.objects.filter(schedule=OuterRef("pk")).order_by().values("schedule")
    last = phases.annotate(end=Max("end_date")).values("end")
    return SubscriptionSchedule.objects.live().filter(parked_at=None).annotate(instant=Subquery(last))


def _tell_expiry(id: str, at: datetime) -> None:
    record(f"{KIND}.expiring", KIND, SubscriptionSchedule.objects.get(pk=id), at=at)


TRIAL_WILL_END = Reminder(
    "customer.subscription.trial_will_end", _trialing, BEFORE_TRIAL_END, lock_subscription, _tell_trial
)
EXPIRING = Reminder(f"{KIND}.expiring", _expiring, BEFORE_EXPIRY, lock_schedule, _tell_expiry)
REMINDERS = (TRIAL_WILL_END, EXPIRING)
