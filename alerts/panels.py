"""What pages of the admin show about alerts: the history of one, those of a customer, and why one fired."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from alerts.models import Alert, AlertTriggered
from alerts.words import amount_of, condition_of, sentence_of
from core.money import plain
from core.panels import Panel, show_on
from customers.models import Customer
from meters.event_writes import ident_of
from meters.models import MeterEvent

LATEST = 30
FACTS = {
    "value_before": "Before these events",
    "events": "Events counted in all",
    "new_events": "Events that came with it",
    "today": "Today",
    "usual": "On a usual day",
    "days": "Days compared with",
    "since": "Silent since",
    "subscription": "Subscription",
    "period_start": "Period from",
    "period_end": "Period to",
    "taken_at": "Read at",
}
TIMES = {"since", "period_start", "period_end", "taken_at"}


def show() -> None:
    show_on(Alert, Panel("When it fired", "alerts/admin/_history.html", history_of))
    show_on(AlertTriggered, Panel("Why it fired", "alerts/admin/_why.html", why_of))
    show_on(Customer, Panel("Alerts", "alerts/admin/_customer.html", alerts_of, order=70))


def history_of(alert: Alert, at: datetime) -> dict[str, Any]:
    rows = alert.triggered.select_related("alert__meter", "customer")
    return {"rows": _shown(rows[:LATEST]), "more": rows.count() > LATEST, "alert": alert}


def alerts_of(customer: Customer, at: datetime) -> dict[str, Any] | None:
    """Those about it alone, and all that fired for it."""
    if customer.test_clock_id:
        return None
    fired = AlertTriggered.objects.filter(customer=customer).select_related("alert__meter", "customer")
    own = Alert.objects.listed().filter(customer=customer).select_related("meter")
    return {
        "customer": customer,
        "rows": _shown(fired[:LATEST]),
        "own": [{"alert": alert, "condition": condition_of(alert)} for alert in own[:LATEST]],
        "others": Alert.objects.active().filter(customer=None).count(),
    }


def why_of(row: AlertTriggered, at: datetime) -> dict[str, Any]:
    """The value, what it was before, and the events that came with the commit that crossed."""
    why, alert = row.why, row.alert
    facts = [
        ("Condition", condition_of(alert)),
        ("Value", amount_of(alert, row.value)),
        ("Threshold", amount_of(alert, row.threshold)),
    ]
    facts += [(label, _fact(name, why[name])) for name, label in FACTS.items() if why.get(name) is not None]
    if row.group:
        facts.append((alert.group_by, row.group))
    events = _events(row)
    return {
        "row": row,
        "sentence": sentence_of(row),
        "facts": facts,
        "events": [{"event": event, "value": plain(event.value)} for event in events],
        "new_events": why.get("new_events", 0),
    }


def _fact(name: str, value: Any) -> Any:
    return f"{datetime.fromisoformat(value):%d %b %Y %H:%M:%S}" if name in TIMES else value


def _events(row: AlertTriggered) -> Iterable[MeterEvent]:
    names, customer, meter = row.why.get("identifiers") or [], row.customer, row.alert.meter
    if not (names and customer and meter):
        return []
    found = MeterEvent.objects.filter(
        ident__in=[ident_of(name) for name in names], customer_ref=customer.ref, meter_ref=meter.ref
    )
    return found.order_by("timestamp", "received_at")


def _shown(rows: Iterable[AlertTriggered]) -> list[dict[str, Any]]:
    return [{"row": row, "sentence": sentence_of(row)} for row in rows]
