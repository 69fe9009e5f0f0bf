"""The quarantine in the admin: what was refused, why, and what to do about it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from core import clock
from core.admin import ReadOnlyAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, Confirmation, add_button
from core.panels import Panel, show_on
from meters import quarantine, replay, tasks
from meters.quarantine_advice import ADVICE, advice_for, link_of
from meters.quarantine_models import QuarantinedEvent

STATE_LABELS = {"Held": "warning", "Replay waits": "info", "Replayed": "success", "Dismissed": None}
LONGEST = 40  # characters of a text in the list
BY_PERSON = "admin"


class ReasonFilter(admin.SimpleListFilter):
    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(reason, advice.label) for reason, advice in ADVICE.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(reason=self.value()) if self.value() else queryset


class WholeTextFilter(TextFilter):
    """Rows whose column of this name is exactly the text."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class EventNameFilter(WholeTextFilter):
    title = "event name"
    parameter_name = "event_name"


class ImportFilter(WholeTextFilter):
    title = "import"
    parameter_name = "usage_import"


class NoteForm(Confirmation):
    note = forms.CharField(
        label="Note",
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Why it is not to be counted. Shown on its page.",
    )


@admin.register(QuarantinedEvent)
class QuarantinedEventAdmin(ReadOnlyAdmin):
    empty_list = "Nothing is held: every event that came was counted, or has been set right since."
    panels_first = True
    actions = ("replay_selected", "dismiss_selected")  # type: ignore[assignment]
    list_disable_select_all = True  # more than a page is replayed by its own button
    list_before_template = "meters/admin/_quarantine_bar.html"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("identifier", "customer_text")
    search_help_text = "Search by the whole identifier, or the whole name of the customer"
    list_display = ("received", "why", "event", "customer", "shown_identifier", "source", "shown_state")
    list_filter = (
        "state",
        ReasonFilter,
        "source",
        EventNameFilter,
        ImportFilter,
        ("received_at", DayRangeFilter),
    )
    sortable_by = ()
    fieldsets = (
        ("As it was sent", {"fields": ("event_name", "identifier", "timestamp", "sent_payload", "escaped")}),
        ("Where it came from", {"fields": ("source", "usage_import", "position", "received_at", "times_seen")}),
        ("What became of it", {"fields": ("shown_state", "outcome", "resolved_at", "resolved_by", "note")}),
    )
    readonly_fields = ("sent_payload", "shown_state")

    def get_urls(self) -> list[URLPattern]:
        everything = path(
            "replay-all/",
            self.admin_site.admin_view(self.replay_all),
            name="meters_quarantinedevent_replay_all",
        )
        return [everything, *super().get_urls()]

    def get_actions(self, request: HttpRequest) -> Any:
        return super().get_actions(request) if self.may_press(request) else {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the whole text, which has the index."""
        words = search_term.strip()
        return (queryset.filter(Q(identifier=words) | Q(customer_text=words)) if words else queryset), False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        held = QuarantinedEvent.objects.held()
        bar = {
            "held": held.count(),
            "waiting": held.exclude(asked_at=None).count(),
            "filters": request.GET.urlencode(),
            "may_replay": self.may_press(request),
        }
        return super().changelist_view(request, {"quarantine": bar} | (extra_context or {}))

    def replay_all(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to replay all that the list's filters show; on POST have the worker do it."""
        if not self.may_press(request):
            raise PermissionDenied
        back = f"{self._list()}?{request.GET.urlencode()}"
        try:
            shown = self.get_changelist_instance(request).get_queryset(request).order_by()
        except IncorrectLookupParameters:
            return HttpResponseRedirect(self._list())
        if request.method == "POST":
            count = replay.ask(shown, at=clock.now(), by=_name_of(request))
            tasks.ring()
            messages.success(request, f"{count:,} events wait for their replay; the list shows how many are left.")
            return HttpResponseRedirect(back)
        count = shown.held().count()
        context = {
            "question": f"{count:,} held events that fit the filter are sent through ingestion again, a few "
            "thousand at a time. What is still refused stays held, with the new reason.",
            "label": f"Replay {count:,}",
            "back": back,
        }
        return self._confirm(request, "Replay all that fit the filter", context)

    @admin.action(description="Replay")
    def replay_selected(self, request: HttpRequest, rows: Any) -> None:
        done = replay.replay(list(rows.values_list("pk", flat=True)), at=clock.now(), by=_name_of(request))
        self._log(request, rows, "Replay.")
        still = done["held"]
        level = messages.WARNING if still else messages.SUCCESS
        messages.add_message(request, level, f"{done['replayed']:,} replayed, {still:,} refused again.")

    @admin.action(description="Dismiss")
    def dismiss_selected(self, request: HttpRequest, rows: Any) -> HttpResponse | None:
        form = NoteForm(request.POST if "confirmed" in request.POST else None)
        if form.is_valid():
            note = form.cleaned_data["note"]
            ids = list(rows.values_list("pk", flat=True))
            count = quarantine.dismiss(ids, at=clock.now(), note=note, by=_name_of(request))
            self._log(request, rows, "Dismiss.")
            messages.success(request, f"{count:,} dismissed; they stay to be seen.")
            return None
        chosen = request.POST.getlist("_selected_action")
        again = [("action", "dismiss_selected"), ("confirmed", "yes")]
        context = {
            "question": f"{len(chosen):,} selected events are not counted, for good. They stay to be seen.",
            "label": "Dismiss",
            "form": form,
            "hidden": again + [("_selected_action", pk) for pk in chosen],
            "danger": True,
            "back": self._list(),
        }
        return self._confirm(request, "Dismiss the selected events", context)

    def _confirm(self, request: HttpRequest, title: str, context: Mapping[str, Any]) -> HttpResponse:
        shared = self.admin_site.each_context(request) | {"title": title, "opts": self.opts}
        return TemplateResponse(request, "meters/admin/quarantine_confirm.html", shared | dict(context))

    def _log(self, request: HttpRequest, rows: QuerySet[Any], words: str) -> None:
        for row in rows:
            self.log_change(request, row, words)

    @display(description="Received (UTC)")
    def received(self, row: QuarantinedEvent) -> str:
        return f"{row.received_at:%d %b %Y %H:%M:%S}"

    @display(description="Reason")
    def why(self, row: QuarantinedEvent) -> str:
        return advice_for(row).label

    @display(description="Event name")
    def event(self, row: QuarantinedEvent) -> str:
        return _short(row.event_name)

    @display(description="Customer")
    def customer(self, row: QuarantinedEvent) -> str:
        return _short(row.customer_text)

    @display(description="Identifier")
    def shown_identifier(self, row: QuarantinedEvent) -> str:
        return _short(row.identifier)

    @display(description="State", label=STATE_LABELS)
    def shown_state(self, row: QuarantinedEvent) -> str:
        return "Replay waits" if row.asked_at else row.get_state_display()

    @display(description="Payload")
    def sent_payload(self, row: QuarantinedEvent) -> str:
        return json.dumps(row.payload, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _name_of(request: HttpRequest) -> str:
    return request.user.get_username()


def advice_on(row: QuarantinedEvent, at: datetime) -> dict[str, Any] | None:
    if row.state != QuarantinedEvent.State.HELD:
        return None
    advice = advice_for(row)
    return {"row": row, "advice": advice, "link": link_of(row, advice)}


show_on(QuarantinedEvent, Panel("Why it is held", "meters/admin/_quarantine_advice.html", advice_on))
add_button(
    QuarantinedEvent,
    Button(
        name="replay",
        label="Replay",
        icon="replay",
        question="The event is sent through ingestion again, as if it came at the time when it was received.",
        done="The event was sent through ingestion again; its page says what became of it.",
        run=lambda row, at, answers: replay.replay_one(row.pk, at=at, by=BY_PERSON),
        when=lambda row: row.state == QuarantinedEvent.State.HELD,
    ),
)
add_button(
    QuarantinedEvent,
    Button(
        name="dismiss",
        label="Dismiss",
        icon="close",
        question="The event is not counted, for good. It stays to be seen.",
        done="The event is dismissed.",
        run=lambda row, at, answers: quarantine.dismiss_one(row.pk, at=at, note=answers["note"], by=BY_PERSON),
        form=NoteForm,
        when=lambda row: row.state == QuarantinedEvent.State.HELD,
        danger=True,
    ),
)
