"""Parked subscriptions in the admin: found by a filter, explained on their page, and billed again by a button."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from core.buttons import Button, add_button
from core.panels import Panel, show_on
from subscriptions.models import Subscription
from subscriptions.parking import unpark_subscription


class ParkedFilter(admin.SimpleListFilter):
    title = "billing"
    parameter_name = "parked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return (("yes", "Parked"), ("no", "Billed"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(parked_at__isnull=self.value() == "no")


def parking_of(subscription: Subscription, at: datetime) -> dict[str, Any] | None:
    return {"subscription": subscription} if subscription.parked_at else None


show_on(Subscription, Panel("Not billed", "subscriptions/admin/_parked.html", parking_of, order=1))
add_button(
    Subscription,
    Button(
        name="bill-again",
        label="Bill again",
        icon="restart_alt",
        question="What is due by now is billed within a minute. If the cause is still there, the subscription is set "
        "aside again.",
        done="The subscription is billed again.",
        run=lambda row, at, answers: unpark_subscription(row.pk),
        when=lambda row: row.parked_at is not None,
    ),
)
