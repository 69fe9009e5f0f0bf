"""The pages of credits and alerts: balances, the statement of a grant, and what was told of."""

from decimal import Decimal
from typing import Any

from django.core.paginator import Paginator

from alerts.words import sentence_of
from invoices.burn_down import burn_down
from portal import credit_words, scope
from portal.access import CustomerPage
from portal.credits import allowance_rows, balances_of, grant_rows, steps_of, top_up_rows

GRANTS_PER_PAGE = 20
STEPS_PER_PAGE = 50
ALERTS_PER_PAGE = 20
EVENTS_NAMED = 3


class CreditsPage(CustomerPage):
    """What is left, how it came down, when it runs out; the grants in use, and those of the past a page at a time."""

    template_name = "portal/credits.html"
    tab = "credits"

    def context(self, **ids: str) -> dict[str, Any]:
        customer = self.request.customer
        given = self.request.GET
        whole = given.get("range") == "days"
        found, balances = balances_of(customer, at=self.real_time, whole=whole)
        unused = list(scope.unused_grants_of(customer, self.at))
        past = scope.grants_of(customer).exclude(pk__in=[grant.pk for grant in unused])
        page = Paginator(past, GRANTS_PER_PAGE).get_page(given.get("page"))
        return {
            "balances": balances,
            "whole": whole,
            "grants": grant_rows(customer, unused, found, at=self.at),
            "past": grant_rows(customer, list(page.object_list), found, at=self.at),
            "page": page,
            "allowances": allowance_rows(scope.allowances_of(customer)),
            "top_ups": top_up_rows(scope.top_ups_of(customer)),
        }


class GrantPage(CustomerPage):
    """The statement of a grant."""

    template_name = "portal/grant.html"
    tab = "credits"

    def context(self, **ids: str) -> dict[str, Any]:
        customer = self.request.customer
        grant = scope.grant_of(customer, ids["grant_id"])
        found = burn_down(customer, at=self.real_time)
        (row,) = grant_rows(customer, [grant], found, at=self.at)
        page = Paginator(scope.transactions_of(grant), STEPS_PER_PAGE).get_page(self.request.GET.get("page"))
        open_use = next((each.used for each in found.grants if each.grant.pk == grant.pk), Decimal(0))
        return {
            "grant": grant,
            "row": row,
            "page": page,
            "steps": steps_of(customer, grant, page.object_list),
            "open_use": credit_words.written_of(grant, open_use) if open_use and page.number == 1 else "",
        }


class AlertsPage(CustomerPage):
    """The alerts that fired, with why."""

    template_name = "portal/alerts.html"
    tab = "alerts"

    def context(self, **ids: str) -> dict[str, Any]:
        page = Paginator(scope.alerts_of(self.request.customer), ALERTS_PER_PAGE).get_page(self.request.GET.get("page"))
        return {
            "page": page,
            "fired": [{"row": row, "sentence": sentence_of(row), **_came_with(row.why)} for row in page.object_list],
        }


def _came_with(why: dict[str, Any]) -> dict[str, Any]:
    """The events that brought it over the threshold, where they are known."""
    named = why.get("identifiers", [])[:EVENTS_NAMED]
    return {"identifiers": named, "more": max(why.get("new_events", 0) - len(named), 0)}
