"""Meters in the admin: made with all their rules, renamed and switched off and on, and watched."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from unfold.decorators import display

from core.admin import VerbAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.charts import BarChart, bar_chart
from core.panels import Panel, show_on
from meters import lifecycle, live_admin
from meters.admin_forms import MeterForm
from meters.aggregations import AGGREGATIONS, formula_choices
from meters.epoch_admin import IngestEpochAdmin as IngestEpochAdmin
from meters.events_admin import MeterEventAdmin as MeterEventAdmin  # for Django to find it
from meters.filter_words import words_of
from meters.models import Meter
from meters.quarantine_admin import QuarantinedEventAdmin as QuarantinedEventAdmin  # for Django to find it

STATUS_LABELS = {"Active": "success", "Inactive": "danger"}


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
    panels_first = True
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
        "filter_words",
        "dimension_words",
        "in_part",
        "customer_key",
        "value_key",
        "shown_status",
        "created_at",
        "updated_at",
        "deactivated_at",
    )
    fieldsets = (
        (None, {"fields": ("display_name", "shown_status", "event_name")}),
        (
            "How events are counted",
            {"fields": ("formula_words", "in_part", "window_words", "filter_words", "dimension_words")},
        ),
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": ("customer_key", "value_key", "id", "created_at", "updated_at", "deactivated_at"),
            },
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("display_name", "event_name", "formula", "event_time_window")}),
        ("Which events, and by what they are grouped", {"fields": ("filters", "dimension_payload_keys")}),
        ("Keys of the payload", {"classes": ("collapse",), "fields": ("customer_key", "value_key")}),
    )

    class Media:
        js = ("admin_pages/meter_form.js", "admin_pages/meter_live.js")

    def get_urls(self) -> list[URLPattern]:
        live = path("<path:object_id>/live/", self.admin_site.admin_view(self.live), name="meters_meter_live")
        return [live, *super().get_urls()]

    def live(self, request: HttpRequest, object_id: str) -> JsonResponse:
        """What the page of the meter asks for every few seconds."""
        meter = self.get_object(request, unquote(object_id))
        return live_admin.live_answer(request, meter, may_view=self.has_view_permission(request, meter))

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

    @display(description="Billed of a part of a period")
    def in_part(self, row: Meter) -> str:
        return AGGREGATIONS[row.formula].in_part

    @display(description="Counts only events where")
    def filter_words(self, row: Meter) -> str:
        if not row.filters:
            return "Every event counts"
        return format_html_join("", "<div>{}</div>", ((words_of(condition),) for condition in row.filters))

    @display(description="Dimensions")
    def dimension_words(self, row: Meter) -> str:
        return ", ".join(row.dimension_payload_keys) or "None"

    @display(description="Status", ordering="status", label=STATUS_LABELS)
    def shown_status(self, row: Meter) -> str:
        return row.get_status_display()


def chart_of_days(days: Sequence[tuple[date, int]]) -> BarChart | None:
    points = [(f"{day:%d %b %Y}", Decimal(count)) for day, count in days]
    return bar_chart(points, written=[f"{count:,}" for _, count in days])


show_on(Meter, Panel("Usage", "meters/admin/_live.html", live_admin.figures_of, order=10))
show_on(
    Meter, Panel("Customers, last 30 days", "meters/admin/_meter_customers.html", live_admin.customers_of, order=20)
)
show_on(
    Meter, Panel("Dimensions, last 30 days", "meters/admin/_meter_dimensions.html", live_admin.dimensions_of, order=30)
)
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
