"""Links to the portal in the admin: made on the page of a customer, listed, and ended.

The button on the customer's page is here because customers may not know the portal (see `core.buttons`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from core import clock
from core.admin import ReadOnlyAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from customers.models import Customer
from portal import admin_panels as admin_panels  # enters its panels
from portal.models import PortalSession
from portal.sessions import create_session, revoke_session

LABELS = {"Works": "success", "Expired": None, "Ended": "danger"}


@admin.register(PortalSession)
class PortalSessionAdmin(ReadOnlyAdmin):
    empty_list = "A link lets one customer see its usage and invoices. Make one on the page of the customer."
    search_fields = ("id", "customer__name", "customer__email", "customer__id")
    search_help_text = "Search by customer or id"
    list_display = ("customer", "standing", "created_at", "expires_at", "id")
    list_filter = (("customer", AutocompleteSelectFilter), ("created_at", DayRangeFilter))
    list_select_related = ("customer",)
    fields = ("customer", "standing", "created_at", "expires_at", "revoked_at", "return_url", "locale", "id")
    readonly_fields = fields

    @display(description="Link", label=LABELS)
    def standing(self, row: PortalSession) -> str:
        if row.revoked_at:
            return "Ended"
        return "Works" if clock.now() < row.expires_at else "Expired"


def make_link(customer: Customer, at: datetime, answers: Mapping[str, Any]) -> PortalSession:
    return create_session(customer.pk, at=at)


def show_link(session: PortalSession, request: HttpRequest) -> dict[str, Any]:
    return {"link": session.url(request), "session": session}


add_button(
    Customer,
    Button(
        name="portal",
        label="Portal link",
        icon="open_in_new",
        question="Makes a link with which anybody who has it sees this customer's usage and invoices until it expires.",
        done="",
        run=make_link,
        when=lambda row: row.deleted_at is None,
        answer="portal/admin/link.html",
        tell=show_link,
    ),
)
add_button(
    PortalSession,
    Button(
        name="end",
        label="End",
        icon="link_off",
        question="The link stops working at once, and so does every browser that was let in by it.",
        done="The link is ended.",
        run=lambda row, at, answers: revoke_session(row.pk, at=at),
        when=lambda row: row.revoked_at is None,
        danger=True,
    ),
)
