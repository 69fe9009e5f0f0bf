"""Subscriptions in the admin: made with their items, ended by buttons; items and periods are shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Min, Q, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from core.admin import VerbAdmin, VerbInline
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from customers.models import Customer
from subscriptions import change_admin as change_admin  # for its button
from subscriptions import panels as panels  # what its page shows
from subscriptions import pause_admin as pause_admin  # for its buttons
from subscriptions import schedule_admin as schedule_admin  # its pages
from subscriptions import terms_admin as terms_admin  # for its button
from subscriptions.admin_forms import (
    CancelNowForm,
    ItemForm,
    ItemFormSet,
    SubscriptionChangeForm,
    SubscriptionForm,
    WhyForm,
)
from subscriptions.cancel import cancel_subscription
from subscriptions.change import Cancellation, update_subscription
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.parked_admin import ParkedFilter
from subscriptions.subscribe import create_subscription
from subscriptions.terms import change_terms

LABELS = {
    "Active": "success",
    "Trialing": "info",
    "Ends": "warning",
    "Parked": "danger",
    "Paused": "warning",
    "Past Due": "danger",
    "Unpaid": "danger",
    "Canceled": "danger",
}


class ItemInline(VerbInline):
    model = SubscriptionItem
    form = ItemForm
    formset = ItemFormSet
    fields = ("price", "quantity")
    autocomplete_fields = ("price",)
    rows_param = "items"
    verbose_name = "item"
    verbose_name_plural = "Items: what is billed; all in one currency"
    extra = 2


@admin.register(Subscription)
class SubscriptionAdmin(VerbAdmin):
    form = SubscriptionForm
    change_form = SubscriptionChangeForm
    panels_first = True
    empty_list = "A subscription bills a customer, period by period, at the prices of its items. Create one."
    search_fields = ("id", "description", "customer__name", "customer__email", "customer__id")
    search_help_text = "Search by customer, description or id"
    list_display = ("customer", "what", "standing", "renews_at", "start_date", "__str__")
    list_filter = (
        "status",
        ParkedFilter,
        ("customer", AutocompleteSelectFilter),
        "collection_method",
        ("start_date", DayRangeFilter),
    )
    list_select_related = ("customer",)
    autocomplete_fields = ("customer",)
    add_inlines = (ItemInline,)
    readonly_fields = (
        "id",
        "customer",
        "currency",
        "standing",
        "start_date",
        "billing_cycle_anchor",
        "trial_start",
        "trial_end",
        "missing_payment_method",
        "paused_at",
        "pause_collection",
        "pause_collection_resumes_at",
        "cancel_at",
        "canceled_at",
        "ended_at",
        "cancellation_feedback",
        "cancellation_comment",
    )
    fieldsets = (
        (None, {"fields": ("customer", "standing", "description", "collection_method", "days_until_due", "metadata")}),
        (
            "Times",
            {"fields": ("start_date", "billing_cycle_anchor", "cancel_at", "canceled_at", "ended_at")},
        ),
        ("Threshold", {"classes": ("collapse",), "fields": ("threshold_amount", "threshold_resets_anchor")}),
        ("Trial", {"classes": ("collapse",), "fields": ("trial_start", "trial_end", "missing_payment_method")}),
        (
            "Pause",
            {"classes": ("collapse",), "fields": ("paused_at", "pause_collection", "pause_collection_resumes_at")},
        ),
        (
            "More",
            {"classes": ("collapse",), "fields": ("id", "currency", "cancellation_feedback", "cancellation_comment")},
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("customer", "description")}),
        ("Trial", {"classes": ("collapse",), "fields": ("trial_period_days", "missing_payment_method")}),
        (
            "Billing",
            {
                "classes": ("collapse",),
                "fields": ("billing_cycle_anchor", "prorate", "collection_method", "days_until_due", "metadata"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        open_period = Q(items__periods__closed_at=None) & ~Q(items__periods__kind=ItemPeriod.Kind.PAUSED)
        rows = super().get_queryset(request).prefetch_related("items__price__product")
        return rows.annotate(renews_at=Min("items__periods__ends_at", filter=open_period))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or not obj.has_ended)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "customer":
            kwargs["queryset"] = Customer.objects.live()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def create(self, form: SubscriptionForm, formsets: Sequence[ItemFormSet], *, at: datetime) -> Subscription:
        spec = form.spec(formsets[0].specs())
        return create_subscription(form.cleaned_data["customer"].pk, spec=spec, at=at)

    def update(self, row: Subscription, form: SubscriptionChangeForm, *, at: datetime) -> Subscription:
        with transaction.atomic():
            updated = update_subscription(row.pk, changes=form.wanted(), metadata=form.metadata_to_merge(), at=at)
            threshold = form.threshold()
            return change_terms(row.pk, threshold, at=at) if threshold else updated

    def name_of(self, row: Subscription) -> str:
        return f"{row.customer}, {row.title}"

    @display(description="Status", ordering="status", label=LABELS)
    def standing(self, row: Subscription) -> str:
        if row.parked_at and not row.has_ended:
            return "Parked"
        ends = row.cancel_at and (row.is_active or row.is_trialing)
        return "Ends" if ends else row.get_status_display()

    @display(description="Items")
    def what(self, row: Subscription) -> str:
        return ", ".join(item.price.product.name for item in row.items.all() if not item.deleted_at)

    @display(description="Period ends", ordering="renews_at")
    def renews_at(self, row: Any) -> datetime | None:
        found: datetime | None = row.renews_at
        return found


def cancel_now(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> Subscription:
    return cancel_subscription(
        row.pk,
        at=at,
        invoice_now=answers["invoice_now"],
        prorate=answers["prorate"],
        reason=WhyForm.reason(answers),
    )


def cancel_at_period_end(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> Subscription:
    wish = Cancellation(cancel_at_period_end=True, reason=WhyForm.reason(answers))
    return update_subscription(row.pk, changes={}, cancellation=wish, at=at)


def undo_cancellation(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> Subscription:
    wish = Cancellation(cancel_at_period_end=False) if row.cancel_at_period_end else Cancellation(cancel_at=None)
    return update_subscription(row.pk, changes={}, cancellation=wish, at=at)


add_button(
    Subscription,
    Button(
        name="cancel-at-period-end",
        label="Cancel at period end",
        icon="event_busy",
        question="The subscription runs to the end of its current period and ends there with its last invoice. "
        "Until then this can be undone.",
        done="The subscription will end with its current period.",
        run=cancel_at_period_end,
        when=lambda row: not row.has_ended and not row.cancel_at,
        form=WhyForm,
        foreseen=True,
        at_once=True,
    ),
)
add_button(
    Subscription,
    Button(
        name="undo-cancellation",
        label="Undo cancellation",
        icon="undo",
        question="The subscription renews again as if it had never been canceled.",
        done="The subscription renews again.",
        run=undo_cancellation,
        when=lambda row: not row.has_ended and bool(row.cancel_at),
        foreseen=True,
        at_once=True,
    ),
)
add_button(
    Subscription,
    Button(
        name="cancel-now",
        label="Cancel now",
        icon="cancel",
        question="The subscription ends at once, for good.",
        done="The subscription has ended.",
        run=cancel_now,
        when=lambda row: not row.has_ended,
        form=CancelNowForm,
        foreseen=True,
        at_once=True,
        danger=True,
    ),
)
