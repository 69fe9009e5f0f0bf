"""Alerts in the admin: made by kind, switched by buttons, with what they have told; and the inbox of what has fired."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from alerts import lifecycle, panels
from alerts.admin_forms import AlertForm, SnoozeForm, fields_of
from alerts.fire import try_out
from alerts.inbox import mark_seen, unseen_count
from alerts.kinds import KINDS
from alerts.models import Alert, AlertTriggered
from alerts.words import condition_of, customers_of, sentence_of
from core import clock
from core.admin import ReadOnlyAdmin, VerbAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from customers.models import Customer
from meters.models import Meter

STANDING = {"Active": "success", "Snoozed": "warning", "Inactive": None, "Archived": None}
INBOX = {"New": "warning", "Seen": None, "Test": "info", "Not in the inbox": None}


@admin.register(Alert)
class AlertAdmin(VerbAdmin):
    form = AlertForm
    panels_first = True
    empty_list = "An alert tells when usage, spend or credit of a customer comes to a threshold. Create one."
    search_fields = ("id", "title", "customer__name", "customer__email", "customer__id")
    search_help_text = "Search by title, customer or id"
    list_display = ("title", "condition", "about", "standing", "told", "created_at")
    list_filter = (
        "alert_type",
        "status",
        ("customer", AutocompleteSelectFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("customer", "meter")
    autocomplete_fields = ("customer",)
    readonly_fields = ("condition", "about", "standing", "shown_channels")
    fieldsets = (
        (None, {"fields": ("title", "condition", "about", "recurrence", "shown_channels", "standing")}),
        ("More", {"classes": ("collapse",), "fields": ("id", "created_at", "activated_at", "archived_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        told = Count("triggered", filter=Q(triggered__is_test=False))
        return super().get_queryset(request).annotate(told_count=told)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An alert is never changed, only switched."""
        return super().has_change_permission(request, obj) and obj is None

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = KINDS.get(request.GET.get("alert_type", ""))
        if obj is not None or kind is None:
            return super().get_fieldsets(request, obj)
        return [
            (f"{kind.label}: {kind.explanation}", {"fields": (*fields_of(kind), "alert_type")}),
            (
                "About whom; all customers if nothing is said",
                {"fields": ("customer", "metadata_key", "metadata_value")},
            ),
            ("Who is told", {"fields": ("channels", "emails")}),
        ]

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The kind is chosen first."""
        if request.GET.get("alert_type") in KINDS or not self.has_add_permission(request):
            return super().add_view(request, *args, **kwargs)
        context = self.admin_site.each_context(request) | {
            "title": "Add alert",
            "opts": self.opts,
            "kinds": list(KINDS.values()),
            "more": "".join(f"&{name}={value}" for name, value in request.GET.items() if name == "customer"),
        }
        return TemplateResponse(request, "alerts/admin/choose.html", context)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = {"customer": Customer.objects.live().filter(test_clock=None), "meter": Meter.objects.listed()}
        return super().formfield_for_foreignkey(db_field, request, **kwargs | {"queryset": rows[db_field.name]})

    def create(self, form: AlertForm, formsets: Sequence[Any], *, at: datetime) -> Alert:
        return lifecycle.create_alert(at=at, **form.wanted())

    @display(description="Fires")
    def condition(self, row: Alert) -> str:
        return condition_of(row)

    @display(description="About")
    def about(self, row: Alert) -> str:
        return customers_of(row)

    @display(description="Standing", label=STANDING)
    def standing(self, row: Alert) -> str:
        snoozed = row.status == Alert.Status.ACTIVE and row.snoozed_until and row.snoozed_until > clock.now()
        return "Snoozed" if snoozed else row.get_status_display()

    @display(description="Fired", ordering="told_count")
    def told(self, row: Any) -> int:
        return int(row.told_count)

    @display(description="Told by")
    def shown_channels(self, row: Alert) -> str:
        names = [label for value, label in Alert.Channel.choices if value in row.channels]
        return ", ".join([*names, *row.emails]) or "nobody"


class InboxFilter(admin.SimpleListFilter):
    title = "inbox"
    parameter_name = "inbox"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("new", "New"), ("seen", "Seen")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "new":
            return queryset.unseen()  # type: ignore[attr-defined,no-any-return]
        return queryset.exclude(seen_at=None) if self.value() == "seen" else queryset


@admin.register(AlertTriggered)
class AlertTriggeredAdmin(ReadOnlyAdmin):
    panels_first = True
    empty_list = "No alert has fired yet."
    actions = ("mark_selected",)  # type: ignore[assignment]
    list_before_template = "alerts/admin/_inbox_bar.html"
    search_fields = ("id", "alert__title", "customer__name", "customer__email", "customer__id")
    search_help_text = "Search by alert, customer or id"
    list_display = ("created_at", "alert", "customer", "sentence", "state")
    list_filter = (
        InboxFilter,
        "alert__alert_type",
        ("customer", AutocompleteSelectFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("alert__meter", "customer")
    fields = (
        *("alert", "customer", "sentence", "created_at", "period_start", "period_end", "state", "seen_at", "seen_by"),
        "id",
    )
    readonly_fields = fields

    def get_actions(self, request: HttpRequest) -> Any:
        return super().get_actions(request) if self.may_press(request) else {}

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        bar = {"unseen": unseen_count(), "may_mark": self.may_press(request)}
        if request.method == "POST" and "mark_all" in request.POST and bar["may_mark"]:
            count = mark_seen(at=clock.now(), by=request.user.get_username())
            messages.success(request, f"{count:,} marked as seen.")
            bar["unseen"] = unseen_count()
        return super().changelist_view(request, {"inbox": bar} | (extra_context or {}))

    @admin.action(description="Mark as seen")
    def mark_selected(self, request: HttpRequest, rows: Any) -> None:
        ids = list(rows.values_list("pk", flat=True))
        count = mark_seen(ids, at=clock.now(), by=request.user.get_username())
        messages.success(request, f"{count:,} marked as seen.")

    @display(description="Why")
    def sentence(self, row: AlertTriggered) -> str:
        return sentence_of(row)

    @display(description="State", label=INBOX)
    def state(self, row: AlertTriggered) -> str:
        if row.is_test:
            return "Test"
        if row.seen_at:
            return "Seen"
        return "New" if row.in_inbox else "Not in the inbox"


def badge(request: HttpRequest) -> str:
    """Beside the inbox in the navigation."""
    return str(unseen_count() or "")


def _is_active(row: Alert) -> bool:
    return row.status == Alert.Status.ACTIVE


def _snooze(row: Alert, at: datetime, answers: Any) -> None:
    lifecycle.snooze_alert(row.pk, until=at + timedelta(hours=int(answers["hours"])))


panels.show()
for button in (
    Button(
        name="test",
        label="Send a test",
        icon="send",
        question="A message that says it is a test goes through all channels of the alert.",
        done="The test is on its way.",
        run=lambda row, at, answers: try_out(row, at=at),
        when=lambda row: row.status != Alert.Status.ARCHIVED,
    ),
    Button(
        name="snooze",
        label="Snooze",
        icon="snooze",
        question="Until then it does not fire. What stands over its threshold at the end fires then.",
        done="The alert is snoozed.",
        run=_snooze,
        form=SnoozeForm,
        when=_is_active,
    ),
    Button(
        name="wake",
        label="End the snooze",
        icon="notifications_active",
        question="It fires again from now on; what stands over its threshold fires within seconds.",
        done="The alert is awake.",
        run=lambda row, at, answers: lifecycle.snooze_alert(row.pk, until=at),
        when=lambda row: _is_active(row) and bool(row.snoozed_until and row.snoozed_until > clock.now()),
    ),
    Button(
        name="deactivate",
        label="Deactivate",
        icon="notifications_off",
        question="It fires no more, until it is activated again. It can then fire again for everybody.",
        done="The alert is inactive.",
        run=lambda row, at, answers: lifecycle.deactivate_alert(row.pk),
        when=_is_active,
    ),
    Button(
        name="activate",
        label="Activate",
        icon="notifications",
        question="It can fire again, also for whom it has fired before.",
        done="The alert is active.",
        run=lambda row, at, answers: lifecycle.activate_alert(row.pk, at=at),
        when=lambda row: row.status == Alert.Status.INACTIVE,
    ),
    Button(
        name="archive",
        label="Archive",
        icon="archive",
        question="It never fires again and is no longer listed in the API. What it has told stays.",
        done="The alert is archived.",
        run=lambda row, at, answers: lifecycle.archive_alert(row.pk, at=at),
        when=lambda row: row.status != Alert.Status.ARCHIVED,
        danger=True,
    ),
):
    add_button(Alert, button)
add_button(
    AlertTriggered,
    Button(
        name="seen",
        label="Mark as seen",
        icon="done",
        question="It leaves the inbox, for everybody.",
        done="Marked as seen.",
        run=lambda row, at, answers: mark_seen([row.pk], at=at, by=answers["pressed_by"]),
        when=lambda row: row.in_inbox and row.seen_at is None,
    ),
)
