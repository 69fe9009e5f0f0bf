"""Schedules of subscriptions over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import metadata, resources
from api.views import ResourceView
from core import clock
from core.errors import ParameterMissing, ParametersExclusive
from subscriptions.models import SchedulePhase, SubscriptionSchedule
from subscriptions.resources import SUBSCRIPTION_SCHEDULE
from subscriptions.schedule_end import cancel_schedule, release_schedule
from subscriptions.schedule_params import (
    CancelSchedule,
    CreateSchedule,
    ListSchedules,
    ReleaseSchedule,
    UpdateSchedule,
)
from subscriptions.schedules import (
    ScheduleChange,
    ScheduleSpec,
    adopt_subscription,
    create_schedule,
    update_schedule,
)

TIMES = ("canceled_at", "completed_at", "released_at")
BESIDE_FROM_SUBSCRIPTION = ("billing_mode", "customer", "default_settings", "end_behavior", "phases", "start_date")


class SubscriptionScheduleView(ResourceView):
    resource = SUBSCRIPTION_SCHEDULE
    params = {
        "create": CreateSchedule,
        "update": UpdateSchedule,
        "cancel": CancelSchedule,
        "release": ReleaseSchedule,
        "list": ListSchedules,
    }

    def create(self, request: Request) -> Response:
        given, at = self.read(), clock.now()
        if "from_subscription" in given:
            _check_alone(given)
            kept = metadata.merge({}, given.get("metadata"))
            return self._answer_fresh(adopt_subscription(given["from_subscription"], at=at, metadata=kept))
        for name in ("customer", "phases"):
            if name not in given:
                raise ParameterMissing(name)
        return self._answer_fresh(create_schedule(given["customer"], spec=_spec(given), at=at))

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        change = ScheduleChange(
            phases=given.get("phases"),
            end_behavior=given.get("end_behavior"),
            default_settings=given.get("default_settings"),
            metadata=given.get("metadata"),
            behavior=given.get("proration_behavior", SchedulePhase.ProrationBehavior.CREATE_PRORATIONS),
        )
        return self._answer_fresh(update_schedule(id, change, at=clock.now()))

    def cancel(self, request: Request, id: str) -> Response:
        given = self.read()
        return self._answer_fresh(
            cancel_schedule(
                id, at=clock.now(), invoice_now=given.get("invoice_now", True), prorate=given.get("prorate", True)
            )
        )

    def release(self, request: Request, id: str) -> Response:
        preserve = self.read().get("preserve_cancel_date", False)
        return self._answer_fresh(release_schedule(id, at=clock.now(), preserve_cancel_date=preserve))

    def filter(
        self, queryset: QuerySet[SubscriptionSchedule], given: Mapping[str, Any]
    ) -> QuerySet[SubscriptionSchedule]:
        """Of a clock's schedules only those asked for by customer (as Stripe does)."""
        queryset = super().filter(queryset, given)
        if "customer" in given:
            queryset = queryset.filter(customer=given["customer"])
        else:
            queryset = queryset.filter(customer__test_clock=None)
        for name in TIMES:
            queryset = queryset.filter(**{f"{name}__{bound}": at for bound, at in given.get(name, {}).items()})
        if given.get("scheduled"):
            queryset = queryset.filter(status=SubscriptionSchedule.Status.NOT_STARTED)
        return queryset

    def _answer_fresh(self, schedule: SubscriptionSchedule) -> Response:
        return self.answer(resources.retrieve(SUBSCRIPTION_SCHEDULE, schedule.pk))


def _check_alone(given: Mapping[str, Any]) -> None:
    """Raises ParametersExclusive where a subscription to take over comes with what it says by itself."""
    beside = [name for name in BESIDE_FROM_SUBSCRIPTION if name in given]
    if beside:
        raise ParametersExclusive(
            f"from_subscription cannot be used with {', '.join(beside)}: create the schedule, then update it.",
            param=beside[0],
        )


def _spec(given: Mapping[str, Any]) -> ScheduleSpec:
    start, mode = given.get("start_date", "now"), given.get("billing_mode", {})
    optional: dict[str, Any] = {name: given[name] for name in ("end_behavior", "default_settings") if name in given}
    if "type" in mode:
        optional["billing_mode"] = mode["type"]
    if "proration_discounts" in mode.get("flexible", {}):
        optional["proration_discounts"] = mode["flexible"]["proration_discounts"]
    return ScheduleSpec(
        phases=given["phases"],
        start_date=None if start == "now" else start,
        metadata=metadata.merge({}, given.get("metadata")),
        **optional,
    )
