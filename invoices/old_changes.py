"""Billed periods that ended long ago, and of which an event was cancelled, or taken in, lately all the same.

Ingestion takes no event that is older than 35 days. But an event can be cancelled at any time, and one that was held
back is judged by when it was received.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from meters.aggregations import AGGREGATIONS
from meters.event_writes import ident_of
from meters.quarantine_models import QuarantinedEvent

LATELY = timedelta(days=35)  # of the wall clock

# A level, and a value that carries over, has a say in every later period too.
PERIODS = """
WITH changes AS (
    SELECT customer_ref, meter_ref, timestamp FROM meters_eventcancellation
    WHERE cancelled_at >= clock_timestamp() - %(lately)s AND timestamp < %(before)s
    UNION SELECT customer_ref, meter_ref, timestamp FROM meters_meterevent
    WHERE ident = ANY(%(replayed)s::uuid[]) AND timestamp < %(before)s
)
SELECT DISTINCT line.item_period_id
FROM changes
JOIN customers_customer AS customer ON customer.ref = changes.customer_ref
JOIN meters_meter AS meter ON meter.ref = changes.meter_ref
JOIN invoices_invoice AS invoice ON invoice.customer_id = customer.id
JOIN invoices_invoiceline AS line ON line.invoice_id = invoice.id AND line.meter_id = meter.id
WHERE line.item_period_id IS NOT NULL AND line.period_end > changes.timestamp
  AND (line.period_start <= changes.timestamp OR meter.formula = ANY(%(looking_back)s))
  AND customer.test_clock_id IS NOT DISTINCT FROM %(clock)s
"""


def periods_of_old_changes(clock: str | None, *, before: datetime) -> list[int]:
    """The periods with a change, made lately, of what happened `before` an instant; of customers on a test clock, or
    (None) of none."""
    given: dict[str, Any] = {
        "lately": LATELY,
        "before": before,
        "replayed": _replayed(before),
        "looking_back": [name for name, aggregation in AGGREGATIONS.items() if aggregation.looks_back],
        "clock": clock,
    }
    with connection.cursor() as cursor:
        cursor.execute(PERIODS, given)
        return [period for (period,) in cursor.fetchall()]


def _replayed(before: datetime) -> list[object]:
    """The idents of events that were held back until lately."""
    rows = QuarantinedEvent.objects.filter(
        Q(timestamp__lt=before) | Q(timestamp=None, received_at__lt=before),
        state=QuarantinedEvent.State.REPLAYED,
        resolved_at__gte=Now() - LATELY,
    )
    return [ident_of(identifier) for identifier in rows.values_list("identifier", flat=True)]
