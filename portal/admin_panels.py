"""What the admin shows of a customer as the portal does: usage by dimensions, and how credits come down."""

from datetime import datetime
from typing import Any

from core.charts import BarChart, bar_chart
from core.money import plain
from core.panels import Panel, show_on
from core.sql import TookTooLong, time_limit
from customers.models import Customer
from meters.usage import UsageBucket, usage_by_dimensions
from portal import scope
from portal.credits import Balance, balances_of

MILLISECONDS = 1500
MOST = 20  # combinations of values shown of a meter


def dimensions_of(customer: Customer, at: datetime) -> dict[str, Any] | None:
    """The usage of the current periods by the dimensions of the meters; nothing for a customer without such meters."""
    shown = [mine for mine in scope.meters_of(customer) if mine.current and not mine.meter.hidden]
    meters = [mine for mine in shown if mine.meter.dimension_payload_keys]
    return {"meters": [_by_dimensions(mine, customer, at) for mine in meters]} if meters else None


def _by_dimensions(mine: scope.CustomerMeter, customer: Customer, at: datetime) -> dict[str, Any]:
    assert mine.current is not None, "asked for running meters only"
    part = (mine.current.start, mine.until(mine.current, customer.now(at)))
    keys = mine.meter.dimension_payload_keys
    try:
        with time_limit(MILLISECONDS):
            found: list[UsageBucket] | None = usage_by_dimensions(mine.meter, customer, part=part, by=keys)
    except TookTooLong:
        found = None
    rows = [
        {"values": [one.dimensions[key] for key in keys], "quantity": plain(one.quantity), "events": one.events}
        for one in sorted(found or (), key=lambda one: one.quantity, reverse=True)
    ]
    return {
        "meter": mine.meter,
        "keys": keys,
        "rows": rows[:MOST],
        "gave_up": found is None,
        "more": max(len(rows) - MOST, 0),
        "label": mine.aggregation.label,
    }


def credits_of(customer: Customer, at: datetime) -> dict[str, Any] | None:
    """The live balances, as the customer sees them; nothing for a customer without credits."""
    try:
        with time_limit(MILLISECONDS):
            _, balances = balances_of(customer, at=at, whole=True)
    except TookTooLong:
        return {"gave_up": True}
    if not balances:
        return None
    return {"balances": [{"balance": each, "chart": _bars(each)} for each in balances]}


def _bars(balance: Balance) -> BarChart | None:
    marks = balance.marks
    return bar_chart([(mark.label, mark.left) for mark in marks], written=[mark.words for mark in marks])


show_on(Customer, Panel("Credits day by day", "portal/admin/_credits.html", credits_of, order=54))
show_on(Customer, Panel("Usage by dimensions", "portal/admin/_dimensions.html", dimensions_of, order=15))
