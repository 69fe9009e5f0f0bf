"""Schedules in the admin: their phases as a strip of time, and buttons that add a phase, release and cancel."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldBooleanSwitchWidget,
)

from core.admin import ReadOnlyAdmin, pairs_in_words
from core.buttons import Button, Confirmation, add_button
from core.charts import time_strip
from core.panels import Panel, show_on
from pricing.models import Price
from subscriptions.models import ItemPeriod, SchedulePhase, Subscription, SubscriptionItem, SubscriptionSchedule
from subscriptions.panels import subscription_link
from subscriptions.schedule_end import cancel_schedule, release_schedule
from subscriptions.schedule_steps import Step, schedule_change

LABELS = {
    "Not Started": "info",
    "Active": "success",
    "Stands still": "danger",
    "Completed": "default",
    "Released": "default",
    "Canceled": "default",
}
PRORATIONS = (
    ("create_prorations", "On the next invoice"),
    ("always_invoice", "By an invoice at once"),
    ("none", "Not at all"),
)


@admin.register(SubscriptionSchedule)
class SubscriptionScheduleAdmin(ReadOnlyAdmin):
    panels_first = True
    empty_list = "A schedule changes a subscription phase by phase. Plan a change on the page of a subscription."
    search_fields = ("id", "customer__name", "customer__email", "customer__id", "subscription__id")
    search_help_text = "Search by customer, subscription or id"
    list_display = ("customer", "standing", "next_at", "end_behavior", "created_at", "__str__")
    list_filter = ("status", ("customer", AutocompleteSelectFilter))
    list_select_related = ("customer",)
    fieldsets = (
        (None, {"fields": ("customer", "standing", "drives", "next_at", "parked_reason", "end_behavior")}),
        ("Times", {"fields": ("created_at", "completed_at", "released_at", "canceled_at")}),
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": ("id", "billing_mode", "default_words", "released_subscription", "metadata"),
            },
        ),
    )
    readonly_fields = ("standing", "drives", "default_words")

    def name_of(self, row: SubscriptionSchedule) -> str:
        return f"{row.customer}, {row.subscription.title}" if row.subscription else str(row.customer)

    @display(description="Status", ordering="status", label=LABELS)
    def standing(self, row: SubscriptionSchedule) -> str:
        return "Stands still" if row.parked_at and row.is_live else row.get_status_display()

    @display(description="Subscription")
    def drives(self, row: SubscriptionSchedule) -> str:
        return subscription_link(row.subscription)

    @display(description="Default settings")
    def default_words(self, row: SubscriptionSchedule) -> str:
        return pairs_in_words(row.default_settings)


class ChangeForm(Confirmation):
    """Which item is to be what, and from when on."""

    item = forms.ModelChoiceField(SubscriptionItem.objects.none(), widget=UnfoldAdminSelectWidget)
    starts_at = forms.SplitDateTimeField(
        label="From (UTC)",
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="At the end of a period one invoice bills the old usage and the new price.",
    )
    price = forms.ModelChoiceField(
        Price.objects.none(), required=False, widget=UnfoldAdminSelectWidget, empty_label="as it is"
    )
    quantity = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=10**12,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Of a price by quantity; usage has none. Empty: as it is.",
    )
    proration_behavior = forms.ChoiceField(
        label="Charge the rest of a period",
        choices=PRORATIONS,
        widget=UnfoldAdminSelectWidget,
        help_text="For a change in the middle of a period.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        subscription: Subscription = self.row
        items = subscription.items.live().select_related("price__product")
        prices = Price.objects.filter(active=True, currency=subscription.currency).exclude(interval=None)
        choices: Any = self.fields["item"]
        choices.queryset, choices.initial = items, items.first()
        offered: Any = self.fields["price"]
        offered.queryset = prices.select_related("product")
        self.fields["starts_at"].initial = (
            ItemPeriod.objects.open().filter(item__subscription=subscription).earliest_end()
        )


class ReleaseForm(Confirmation):
    preserve_cancel_date = forms.BooleanField(
        label="Keep the end that the schedule has set",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Else the subscription goes on without an end.",
    )


class CancelForm(Confirmation):
    invoice_now = forms.BooleanField(
        label="Invoice the usage until now",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Else the usage since the last invoice is discarded.",
    )
    prorate = forms.BooleanField(
        label="Give back unused time",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Of fixed quantities that were paid in advance.",
    )


def plan_change(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> None:
    price = answers["price"]
    step = Step(
        starts_at=answers["starts_at"],
        price=price.pk if price else None,
        quantity=answers["quantity"],
        behavior=answers["proration_behavior"],
    )
    schedule_change(answers["item"], step, at=at)


def cancel(row: SubscriptionSchedule, at: datetime, answers: Mapping[str, Any]) -> SubscriptionSchedule:
    return cancel_schedule(row.pk, at=at, invoice_now=answers["invoice_now"], prorate=answers["prorate"])


def release(row: SubscriptionSchedule, at: datetime, answers: Mapping[str, Any]) -> SubscriptionSchedule:
    return release_schedule(row.pk, at=at, preserve_cancel_date=answers["preserve_cancel_date"])


def phases_of(schedule: SubscriptionSchedule, at: datetime) -> dict[str, Any]:
    """The phases of a schedule as a strip of time, and in words."""
    phases = list(schedule.phases.all())
    prices = _prices(phases)
    strip = time_strip([(phase.start_date, phase.end_date) for phase in phases], now=schedule.customer.now(at))
    rows = [
        {
            "number": number,
            "phase": phase,
            "block": block,
            "items": [{"price": prices[item["price"]], "quantity": item["quantity"]} for item in phase.items],
        }
        for number, (phase, block) in enumerate(zip(phases, strip.blocks, strict=True), 1)
    ]
    return {"schedule": schedule, "rows": rows, "strip": strip}


def schedule_of(subscription: Subscription, at: datetime) -> dict[str, Any] | None:
    schedule = SubscriptionSchedule.objects.filter(subscription=subscription).select_related("customer").first()
    return phases_of(schedule, at) if schedule else None


def _prices(phases: list[SchedulePhase]) -> Mapping[str, Price]:
    wanted = {item["price"] for phase in phases for item in phase.items}
    rows: QuerySet[Price] = Price.objects.select_related("product")
    return rows.in_bulk(wanted)


PHASES = "subscriptions/admin/_phases.html"
show_on(SubscriptionSchedule, Panel("Phases", PHASES, phases_of, order=10))
show_on(Subscription, Panel("Schedule", PHASES, schedule_of, order=20))
add_button(
    Subscription,
    Button(
        name="plan-change",
        label="Plan a change",
        icon="event_upcoming",
        question="From then on the item has another price or quantity. What was planned for later gives way to it.",
        done="The change is planned.",
        run=plan_change,
        when=lambda row: not row.has_ended,
        form=ChangeForm,
    ),
)
add_button(
    SubscriptionSchedule,
    Button(
        name="release",
        label="Release",
        icon="link_off",
        question="The subscription goes on as it is now, and no later phase begins.",
        done="The schedule no longer drives its subscription.",
        run=release,
        when=lambda row: row.is_live,
        form=ReleaseForm,
        foreseen=True,
        at_once=True,
    ),
)
add_button(
    SubscriptionSchedule,
    Button(
        name="cancel",
        label="Cancel",
        icon="cancel",
        question="The schedule ends at once, and with it the subscription that it drives, for good.",
        done="The schedule has ended.",
        run=cancel,
        when=lambda row: row.is_live,
        form=CancelForm,
        foreseen=True,
        at_once=True,
        danger=True,
    ),
)
