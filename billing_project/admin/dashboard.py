"""The first page of the admin: what is owed, what waits, what arrives, and whether everything runs."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum
from django.http import HttpRequest

from core import clock
from core.charts import BarChart
from core.health import problems
from core.money import format_minor
from credits.models import CreditGrant
from customers.models import Customer, TestClock
from invoices.models import Invoice
from meters import overview
from meters.admin import chart_of_days
from meters.models import Meter, QuarantinedEvent
from pricing.models import Price
from subscriptions.models import ItemPeriod, Subscription

DAYS = 30
# A period is closed within seconds of its end; one that has waited longer says that something does not run.
LATE = timedelta(minutes=5)
LATEST = 8


def show_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Called by the theme with the context of the first page."""
    at = clock.now()
    context["title"] = "Dashboard"
    context["dashboard"] = {
        "stats": [*_billing(at), *_people(), *_late(at), *_quarantine()],
        "events": _events(at),
        "open_by_currency": _open_by_currency(),
        "credits_by_currency": _credits_by_currency(at),
        "latest_invoices": _latest_invoices(),
        "health": [(name, problem) for name, problem in problems(at).items()],
        "steps": _first_steps(),
    }
    return context


def _stat(label: str, value: object, link: str, *, query: str = "", warn: bool = False) -> dict[str, Any]:
    return {"label": label, "value": value, "link": f"admin:{link}_changelist", "query": query, "warn": warn}


def _billing(at: datetime) -> list[dict[str, Any]]:
    counts = dict(Invoice.objects.order_by().values("status").annotate(n=Count("pk")).values_list("status", "n"))
    return [
        _stat("Open invoices", counts.get("open", 0), "invoices_invoice", query="?status__exact=open"),
        _stat("Drafts waiting", counts.get("draft", 0), "invoices_invoice", query="?status__exact=draft"),
    ]


def _people() -> list[dict[str, Any]]:
    return [
        _stat("Customers", Customer.objects.live().count(), "customers_customer"),
        _stat(
            "Active subscriptions",
            Subscription.objects.running().count(),
            "subscriptions_subscription",
            query="?status__exact=active",
        ),
    ]


def _late(at: datetime) -> list[dict[str, Any]]:
    late = ItemPeriod.objects.due(at - LATE).on_clock(None).count()
    advancing = TestClock.objects.live().advancing().count()
    stats = [_stat("Periods overdue for closing", late, "subscriptions_subscription", warn=late > 0)]
    if not settings.LIVEMODE:
        stats.append(_stat("Test clocks advancing", advancing, "customers_testclock", query="?status__exact=advancing"))
    return stats


def _quarantine() -> list[dict[str, Any]]:
    """Shown only when something is held: it asks for a person."""
    held = QuarantinedEvent.objects.held().count()
    return (
        [_stat("Events held", held, "meters_quarantinedevent", query="?state__exact=held", warn=True)] if held else []
    )


def _events(at: datetime) -> dict[str, Any]:
    """None stands for too many to be counted in a moment."""
    last_day = overview.events_received_since(at - timedelta(days=1))
    days = overview.events_per_day(until=at, days=DAYS)
    chart: BarChart | None = chart_of_days(days) if days else None
    return {
        "last_day": "more than can be counted here" if last_day is None else f"{last_day:,}",
        "chart": chart,
        "days": DAYS,
    }


def _open_by_currency() -> list[dict[str, Any]]:
    rows = (
        Invoice.objects.filter(status=Invoice.Status.OPEN)
        .order_by("currency")
        .values("currency")
        .annotate(count=Count("pk"), due=Sum("amount_due") - Sum("amount_paid"))
    )
    return [row | {"amount": format_minor(int(row["due"]), row["currency"])} for row in rows]


def _credits_by_currency(at: datetime) -> list[dict[str, Any]]:
    """What customers have left of money, by the ledger: what usage will take of it is on their own pages."""
    rows = (
        CreditGrant.objects.usable(at)
        .on_clock(None)
        .exclude(currency="")
        .order_by("currency")
        .values("currency")
        .annotate(count=Count("pk"), left=Sum("balance"))
    )
    return [row | {"amount": format_minor(int(row["left"]), row["currency"])} for row in rows]


def _latest_invoices() -> list[dict[str, Any]]:
    return [
        {"invoice": invoice, "total": format_minor(invoice.total, invoice.currency)}
        for invoice in Invoice.objects.select_related("customer")[:LATEST]
    ]


def _first_steps() -> list[dict[str, str]]:
    """What to do before there can be an invoice; nothing once there is a subscription."""
    if Subscription.objects.exists():
        return []
    steps = (
        (Meter, "Create a meter", "It counts the events that programs send.", "meters_meter"),
        (Price, "Create a product and its price", "What one unit of the meter costs.", "pricing_price"),
        (Customer, "Create a customer", "Who uses, and who pays.", "customers_customer"),
        (Subscription, "Subscribe the customer", "Usage is billed from then on.", "subscriptions_subscription"),
    )
    return [
        {"title": title, "text": text, "link": f"admin:{link}_add", "done": "yes" if model.objects.exists() else ""}
        for model, title, text, link in steps
    ]
