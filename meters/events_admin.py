"""Events in the admin: found again, looked at with all that has become of them, and cancelled."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Abs
from django.http import HttpRequest
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin import ReadOnlyAdmin
from core.admin_filters import InstantRangeFilter
from core.buttons import Button, Confirmation, add_button
from core.panels import Panel, show_on
from core.sql import TookTooLong, time_limit
from customers.models import Customer
from meters import event_store, payloads
from meters.adjustments import cancel_event
from meters.event_search import customers_like, held_like
from meters.explorer import EventState
from meters.filter_words import words_of
from meters.filters import Condition
from meters.live_admin import value_words
from meters.models import EventCancellation, Meter, MeterEvent

MILLISECONDS = 3000
STATES = {
    EventState.COUNTED: "Counted",
    EventState.LEFT_OUT: "Left out by a filter",
    EventState.CANCELLED: "Cancelled",
}
STATE_LABELS = {"Counted": "success", "Left out by a filter": "warning", "Cancelled": "danger"}


class BoundedList(ChangeList):
    """A page of a table that may be too large for the question: then it is empty, and says so."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        try:
            with time_limit(MILLISECONDS):
                self.result_list = list(self.result_list)
        except TookTooLong:
            self.result_list = []
            messages.warning(
                request,
                "There are too many events to look through. Search for one identifier, or narrow it by customer, meter "
                "and time.",
            )


class MeterFilter(admin.SimpleListFilter):
    title = "meter"
    parameter_name = "meter"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(meter.ref), str(meter)) for meter in Meter.objects.listed().order_by("display_name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        ref = self.value() or ""
        known = ref.isdecimal() and len(ref) < 10  # else it is no number of a meter
        return queryset.filter(meter_ref__in=[int(ref), -int(ref)]) if known else queryset


class CustomerFilter(TextFilter):
    title = "customer (id, external id, alias, email or name)"
    parameter_name = "customer"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        words = (self.value() or "").strip()
        return of_customers(queryset, words) if words else queryset


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, words) for state, words in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case EventState.COUNTED:
                return queryset.filter(meter_ref__gt=0, is_cancelled=False)
            case EventState.LEFT_OUT:
                return queryset.filter(meter_ref__lt=0, is_cancelled=False)
            case EventState.CANCELLED:
                return queryset.filter(is_cancelled=True)
        return queryset


def of_customers(queryset: QuerySet[Any], words: str) -> QuerySet[Any]:
    return queryset.filter(customer_ref__in=[customer.ref for customer in customers_like(words)])


@admin.register(MeterEvent)
class MeterEventAdmin(ReadOnlyAdmin):
    empty_list = "Events arrive through POST /v1/billing/meter_events; each names a meter by its event name."
    panels_first = True
    list_before_template = "meters/admin/_held_elsewhere.html"
    # Counting the events would read all of them.
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("identifier",)
    search_help_text = "Identifier, or customer: id, external id, alias, email or name"
    list_display = ("happened", "meter_name", "customer_name", "amount", "identifier", "shown_state", "received_at")
    list_filter = (CustomerFilter, MeterFilter, StateFilter, ("timestamp", InstantRangeFilter))
    sortable_by = ("happened", "received_at")
    fieldsets = ((None, {"fields": ("identifier", "exact_time", "exact_receipt", "sent_payload")}),)
    readonly_fields = ("exact_time", "exact_receipt", "sent_payload")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedList]:
        return BoundedList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what events know by number only, and whether they are cancelled."""
        customer = Customer.objects.filter(ref=OuterRef("customer_ref"))
        meter = Meter.objects.filter(ref=Abs(OuterRef("meter_ref")))
        cancelled = EventCancellation.objects.filter(ident=OuterRef("ident"), epoch=OuterRef("epoch"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                of_customer=Subquery(customer.values("name")[:1]),
                of_customer_id=Subquery(customer.values("pk")[:1]),
                of_meter=Subquery(meter.values("display_name")[:1]),
                of_formula=Subquery(meter.values("formula")[:1]),
                of_value_key=Subquery(meter.values("value_key")[:1]),
                is_cancelled=Exists(cancelled),
            )
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The newest: months later an identifier can be taken in again."""
        try:
            ident = UUID(object_id)
        except ValueError:
            return None
        return self.get_queryset(request).filter(pk=ident).order_by("-received_at").first()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the hash of the identifier, which has the index; where no event has it, by customer."""
        words = search_term.strip()
        if not words:
            return queryset, False
        ident = event_store.ident_of(words)
        if MeterEvent.objects.filter(pk=ident).exists():
            return queryset.filter(pk=ident), False
        return of_customers(queryset, words), False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        asked = [request.GET.get(name, "").strip() for name in ("q", "customer")]
        held = [name for words in asked if words for name in held_like(words, customers_like(words))]
        return super().changelist_view(request, {"held": held, "asked": any(asked)} | (extra_context or {}))

    @display(description="Time (UTC)", ordering="timestamp")
    def happened(self, row: MeterEvent) -> str:
        return f"{row.timestamp:%d %b %Y %H:%M:%S}"

    @display(description="Meter")
    def meter_name(self, row: Any) -> str:
        return row.of_meter or f"meter {abs(row.meter_ref)}"

    @display(description="Customer")
    def customer_name(self, row: Any) -> str:
        return row.of_customer or row.of_customer_id or f"customer {row.customer_ref}"

    @display(description="Value")
    def amount(self, row: Any) -> str:
        return value_words(row.value, row.payload, formula=row.of_formula, value_key=row.of_value_key)

    @display(description="State", label=STATE_LABELS)
    def shown_state(self, row: Any) -> str:
        return STATES[state_of(row)]

    @display(description="Happened (UTC)")
    def exact_time(self, row: MeterEvent) -> str:
        return f"{row.timestamp.isoformat()}{'' if row.timestamp_given else ' (not said: the time of its receipt)'}"

    @display(description="Received (UTC)")
    def exact_receipt(self, row: MeterEvent) -> str:
        return row.received_at.isoformat()

    @display(description="Payload")
    def sent_payload(self, row: Any) -> str:
        sent = payloads.whole(meter_of(row), row.payload, customer_id=row.of_customer_id, value=row.value)
        return json.dumps(sent, ensure_ascii=False)


class CancelForm(Confirmation):
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Why it is not to count, for those who look at it later.",
    )


def state_of(row: Any) -> EventState:
    if row.is_cancelled:
        return EventState.CANCELLED
    return EventState.COUNTED if row.meter_ref > 0 else EventState.LEFT_OUT


def meter_of(row: MeterEvent) -> Meter:
    return Meter.objects.get(ref=abs(row.meter_ref))


def what_became_of(row: Any, at: datetime) -> dict[str, Any]:
    """The event against its meter's rules, and who cancelled it when."""
    meter = meter_of(row)
    sent = payloads.whole(meter, row.payload, customer_id=row.of_customer_id, value=row.value)
    return {
        "row": row,
        "meter": meter,
        "state": STATES[state_of(row)],
        "value": value_words(row.value, sent, formula=meter.formula, value_key=meter.value_key),
        "dimensions": [(key, sent.get(key, "–")) for key in meter.dimension_payload_keys],
        "conditions": [(words_of(one), Condition(**one).holds(sent)) for one in meter.filters],
        "cancellation": EventCancellation.objects.filter(ident=row.ident, epoch=row.epoch).first(),
    }


def cancel(row: MeterEvent, at: datetime, answers: Mapping[str, Any]) -> None:
    cancel_event(meter_of(row).event_name, row.identifier, any_time=True, reason=answers["reason"])


show_on(MeterEvent, Panel("What became of it", "meters/admin/_event.html", what_became_of, order=10))
add_button(
    MeterEvent,
    Button(
        name="cancel",
        label="Cancel this event",
        icon="block",
        question="The event counts no more, for good: the usage of its period falls at once, and so do previews and "
        "drafts. Invoices that are final keep it: they do not change, and nothing is credited by itself. The event "
        "stays to be seen, and its identifier stays taken: send a correction under another one.",
        done="The event is cancelled.",
        run=cancel,
        form=CancelForm,
        when=lambda row: not row.is_cancelled,
        danger=True,
    ),
)
