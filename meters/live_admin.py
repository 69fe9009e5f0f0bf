"""The page of a meter: what it counts, live. The server draws it; a script asks for it again while it is looked at."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from django.template.loader import render_to_string

from core import clock
from core.charts import BarChart, bar_chart
from core.money import plain
from customers.models import Customer
from meters.aggregations import AGGREGATIONS
from meters.live import LatestEvent, Live, Point, Share, live_of
from meters.models import Meter

FRAGMENT = "meters/admin/_live_figures.html"


def live_answer(request: HttpRequest, meter: Meter | None, *, may_view: bool) -> JsonResponse:
    """The figures of a meter as they are now; `more` says whether asking again is worth it."""
    if not may_view:
        raise PermissionDenied
    if meter is None:
        raise Http404
    data = figures_of(meter, clock.now())
    return JsonResponse({"html": render_to_string(FRAGMENT, {"data": data}), "more": not data["gave_up"]})


def figures_of(meter: Meter, at: datetime) -> dict[str, Any]:
    """What changes while one looks: the charts, the totals and the latest events."""
    live = live_of(meter, at)
    figures: dict[str, Any] = {"meter": meter, "live": live, "at": at, "gave_up": False}
    if live is None:
        return figures
    hours, days, totals = live.hours(), live.days(), live.totals()
    return figures | {
        "what": f"{AGGREGATIONS[meter.formula].label}, all customers" if live.adds_up else "Events, all customers",
        "chart": days and _chart(days, "%d %b %Y"),
        "hours": hours and _chart(hours, "%d %b %H:%M"),
        "totals": totals,
        "recent": latest_rows(meter, live.latest),
        "gave_up": None in (live.latest, hours, days, totals),
    }


def customers_of(meter: Meter, at: datetime) -> dict[str, Any] | None:
    live = live_of(meter, at)
    return None if live is None else _shared(live, live.customers())


def dimensions_of(meter: Meter, at: datetime) -> dict[str, Any] | None:
    live = live_of(meter, at) if meter.dimension_payload_keys else None
    if live is None:
        return None
    data = _shared(live, live.dimensions())
    for row in data["rows"] or ():
        row["of"] = list(zip(meter.dimension_payload_keys, row["of"], strict=True))
    return data


def _shared(live: Live, shares: Sequence[Share] | None) -> dict[str, Any]:
    """`rows` None: they could not be added up in time."""
    written = [{"of": share.of, "events": share.events, "quantity": _written(share.quantity)} for share in shares or ()]
    label = AGGREGATIONS[live.meter.formula].label
    return {"meter": live.meter, "live": live, "rows": None if shares is None else written, "label": label}


def latest_rows(meter: Meter, latest: Sequence[LatestEvent] | None) -> list[dict[str, Any]] | None:
    if latest is None:
        return None
    customers = Customer.objects.in_bulk({event.customer_ref for event in latest}, field_name="ref")
    return [
        {
            "event": event,
            "customer": customers.get(event.customer_ref) or event.customer_ref,
            "value": value_words(event.value, event.sent, formula=meter.formula, value_key=meter.value_key),
        }
        for event in latest
    ]


def value_words(value: Decimal, payload: Mapping[str, str], *, formula: str, value_key: str) -> str:
    """A value as it was sent: of a meter that counts different texts, the text."""
    return payload.get(value_key, "–") if AGGREGATIONS[formula].counts_texts else plain(value)


def _chart(points: Sequence[Point], written: str) -> BarChart | None:
    labelled = [(f"{point.start:{written}}", point.quantity) for point in points]
    return bar_chart(labelled, written=[_written(point.quantity) or "" for point in points])


def _written(quantity: Decimal | None) -> str | None:
    return None if quantity is None else f"{Decimal(plain(quantity)):,}"
