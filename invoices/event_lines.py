"""From an event to the invoice lines that have counted it, by the snapshots the lines keep."""

from django.db.models import BooleanField, F
from django.db.models.expressions import RawSQL

from invoices.models import InvoiceLine
from meters.event_sql import CLOCK_SLACK
from meters.models import EventCancellation, MeterEvent

SAW = "pg_visible_in_snapshot(%s::text::xid8, usage_snapshot::pg_snapshot)"


def lines_that_read(event: MeterEvent) -> list[InvoiceLine]:
    """The lines of the event's customer and meter that lie around it and saw it, and saw no cancellation of it.

    Whether it had a say in the quantity is a matter of the formula: the line's own page tells. An event that the
    meter's filters leave out is on none.
    """
    lines = InvoiceLine.objects.filter(
        meter__ref=event.meter_ref,
        invoice__customer__ref=event.customer_ref,
        period_start__lte=event.timestamp,
        period_end__gt=event.timestamp,
        usage_read_at__gte=event.received_at - CLOCK_SLACK,
    )
    lines = lines.annotate(saw=_saw(event.txid)).filter(saw=True)
    cancellation = EventCancellation.objects.filter(ident=event.ident, epoch=event.epoch).first()
    if cancellation:
        lines = lines.annotate(saw_its_end=_saw(cancellation.txid)).filter(saw_its_end=False)
    return list(lines.select_related("invoice").order_by("invoice__created_at", F("position")))


def _saw(txid: object) -> RawSQL:
    return RawSQL(SAW, [str(txid)], output_field=BooleanField())  # noqa: S611 (a constant, with a parameter)
