"""Meters in the admin, with their latest events, and the events themselves to be looked at."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from core.admin import ReadOnlyAdmin, VerbAdmin
from core.admin_filters import DayRangeFilter, InstantRangeFilter
from core.admin_forms import VerbForm
from core.buttons import Button, add_button
from core.charts import BarChart, bar_chart
from core.money import plain
from core.panels import Panel, show_on
from customers.models import Customer
from meters import event_store, lifecycle, overview, payloads
from meters.aggregations import formula_choices
from meters.epoch_admin import IngestEpochAdmin as IngestEpochAdmin
from meters.models import Meter, MeterEvent
from meters.quarantine_admin import QuarantinedEventAdmin as QuarantinedEventAdmin  # for Django to find it

STATUS_LABELS = {"Active": "success", "Inactive": "danger"}
DAYS = 30
RECENT = 10
MOST_CUSTOMERS = 1000  # a filter that fits more customers than this is of no use


class MeterForm(VerbForm):
    param_fields = {"default_aggregation[formula]": "formula"}

    class Meta:
        model = Meter
        fields = (
            "display_name",
            "event_name",
            "formula",
            "event_time_window",
            "customer_key",
            "value_key",
        )
        help_texts = {
            "event_name": "The name under which events are sent, e.g. prompt_tokens. It cannot be changed later.",
            "formula": "Sum: each event carries an amount. Number: each event counts one. Latest: each event carries "
            "the current level, e.g. of storage.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "formula" in self.fields:
            self.fields["formula"].choices = formula_choices()  # type: ignore[attr-defined]


class HiddenFilter(admin.SimpleListFilter):
    """Without it the list has no meters of prices with usage records; there is one for each such price."""

    title = "made for"
    parameter_name = "made_for"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("price", "A price with usage records")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(hidden=self.value() == "price")


@admin.register(Meter)
class MeterAdmin(VerbAdmin):
    form = MeterForm
    empty_list = "A meter counts events of one name. Create one, then send events and give it a price."
    search_fields = ("display_name", "event_name", "id")
    search_help_text = "Search by name, event name or id"
    list_display = ("display_name", "event_name", "formula_words", "window_words", "shown_status", "created_at")
    list_filter = ("status", "formula", HiddenFilter, ("created_at", DayRangeFilter))
    readonly_fields = (
        "id",
        "event_name",
        "formula_words",
        "window_words",
        "customer_key",
        "value_key",
        "shown_status",
        "created_at",
        "updated_at",
        "deactivated_at",
    )
    fieldsets = (
        (None, {"fields": ("display_name", "shown_status", "event_name", "formula_words", "window_words")}),
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": ("customer_key", "value_key", "id", "created_at", "updated_at", "deactivated_at"),
            },
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("display_name", "event_name", "formula")}),
        (
            "How events are read",
            {"classes": ("collapse",), "fields": ("event_time_window", "customer_key", "value_key")},
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What a form can choose from has no filter of its own."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        is_form = request.resolver_match is not None and request.resolver_match.url_name == "autocomplete"
        return (found.filter(hidden=False) if is_form else found), may_repeat

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or not obj.hidden)

    def create(self, form: Any, formsets: Sequence[Any], *, at: datetime) -> Meter:
        return lifecycle.create_meter(at=at, **form.cleaned_data)

    def update(self, row: Meter, form: Any, *, at: datetime) -> Meter:
        return lifecycle.rename_meter(row.pk, display_name=form.cleaned_data["display_name"], at=at)

    @display(description="Counts", ordering="formula")
    def formula_words(self, row: Meter) -> str:
        return dict(formula_choices()).get(row.formula, row.formula)

    @display(description="Window", ordering="event_time_window")
    def window_words(self, row: Meter) -> str:
        return f"One event per {row.event_time_window}" if row.event_time_window else "Every event"

    @display(description="Status", ordering="status", label=STATUS_LABELS)
    def shown_status(self, row: Meter) -> str:
        return row.get_status_display()


class MeterFilter(admin.SimpleListFilter):
    title = "meter"
    parameter_name = "meter"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(meter.ref), str(meter)) for meter in Meter.objects.listed().order_by("display_name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(meter_ref=self.value()) if self.value() else queryset


class CustomerFilter(TextFilter):
    title = "customer (id, email or name)"
    parameter_name = "customer"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        words = self.value()
        fits = Q(pk=words) | Q(email__iexact=words) | Q(name__icontains=words)
        return queryset.filter(
            customer_ref__in=list(Customer.objects.filter(fits).values_list("ref", flat=True)[:MOST_CUSTOMERS])
        )


@admin.register(MeterEvent)
class MeterEventAdmin(ReadOnlyAdmin):
    empty_list = "Events arrive through POST /v1/billing/meter_events; each names a meter by its event name."
    # Counting the events would read all of them.
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("identifier",)
    search_help_text = "Search by the whole identifier"
    list_display = ("happened", "meter_name", "customer_name", "amount", "identifier", "received_at")
    list_filter = (CustomerFilter, MeterFilter, ("timestamp", InstantRangeFilter))
    sortable_by = ("happened", "received_at")
    fields = ("identifier", "meter_name", "customer_name", "amount", "timestamp", "received_at", "sent_payload")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the names of customer and meter, which events know by number only."""
        customer = Customer.objects.filter(ref=OuterRef("customer_ref"))
        meter = Meter.objects.filter(ref=OuterRef("meter_ref"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                of_customer=Subquery(customer.values("name")[:1]),
                of_customer_id=Subquery(customer.values("pk")[:1]),
                of_meter=Subquery(meter.values("display_name")[:1]),
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
        """By the hash of the identifier, which has the index."""
        if not search_term:
            return queryset, False
        return queryset.filter(pk=event_store.ident_of(search_term.strip())), False

    @display(description="Time (UTC)", ordering="timestamp")
    def happened(self, row: MeterEvent) -> str:
        return f"{row.timestamp:%d %b %Y %H:%M:%S}"

    @display(description="Meter")
    def meter_name(self, row: Any) -> str:
        return row.of_meter or f"meter {row.meter_ref}"

    @display(description="Customer")
    def customer_name(self, row: Any) -> str:
        return row.of_customer or row.of_customer_id or f"customer {row.customer_ref}"

    @display(description="Value")
    def amount(self, row: MeterEvent) -> str:
        return plain(row.value)

    @display(description="Payload")
    def sent_payload(self, row: Any) -> str:
        meter = Meter.objects.get(ref=row.meter_ref)
        sent = payloads.whole(meter, row.payload, customer_id=row.of_customer_id, value=row.value)
        return json.dumps(sent, ensure_ascii=False)


def usage_of(meter: Meter, at: datetime) -> dict[str, Any]:
    """The latest events of a meter, and how many came on each of the days until the latest."""
    latest = overview.latest_events(meter.ref, limit=RECENT)
    if not latest:
        return {"meter": meter, "recent": latest, "chart": None}
    names = dict(Customer.objects.filter(ref__in={event.customer_ref for event in latest}).values_list("ref", "name"))
    recent = [
        {"event": event, "customer": names.get(event.customer_ref) or event.customer_ref, "value": plain(event.value)}
        for event in latest
    ]
    days = overview.events_per_day(until=latest[0].timestamp, days=DAYS, meter_ref=meter.ref)
    return {"meter": meter, "recent": recent, "chart": days and chart_of_days(days)}


def chart_of_days(days: Sequence[tuple[date, int]]) -> BarChart | None:
    points = [(f"{day:%d %b %Y}", Decimal(count)) for day, count in days]
    return bar_chart(points, written=[f"{count:,}" for _, count in days])


show_on(Meter, Panel("Events", "meters/admin/_events.html", usage_of))
add_button(
    Meter,
    Button(
        name="deactivate",
        label="Deactivate",
        icon="pause",
        question="The meter refuses events and gets no new prices. Usage that it has taken is still billed.",
        done="The meter is inactive.",
        run=lambda row, at, answers: lifecycle.deactivate_meter(row.pk, at=at),
        when=lambda row: row.status == Meter.Status.ACTIVE and not row.hidden,
        danger=True,
    ),
)
add_button(
    Meter,
    Button(
        name="reactivate",
        label="Reactivate",
        question="The meter takes events again.",
        done="The meter is active.",
        run=lambda row, at, answers: lifecycle.reactivate_meter(row.pk, at=at),
        when=lambda row: row.status == Meter.Status.INACTIVE,
    ),
)
