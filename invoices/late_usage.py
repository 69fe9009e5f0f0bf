"""Finds usage that changed after the invoice of its period was final: late events, cancelled ones, corrections alike.

Which events a line has counted is told by its snapshot, and not by any clock (docs/decisions/0021); what a period has
been read with last is compared with what it would be read with now, for many periods at once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction

from core.timeline import TimedWork
from customers.locks import lock_customers
from customers.models import Customer, TestClock
from invoices.late_usage_billing import Difference, bill_left_over, record
from invoices.models import Invoice, LateUsage
from invoices.old_changes import periods_of_old_changes
from meters.models import Meter
from meters.records import OLDEST
from meters.usage import Usage
from meters.usage_many import Question, usage_many
from pricing.records import usage_of
from subscriptions.models import ItemPeriod, Subscription

# Events are accepted for 35 days; what is accepted is compared even if nothing has been swept for a week after.
WINDOW = OLDEST + timedelta(days=7)
PAGE = 1000  # invoices compared at once
BATCH = 200  # periods corrected in one transaction

# The last reading of each period: of its latest correction, or of the invoice that has billed it. One whose last
# invoice is a draft will be read again, as will one that only a threshold has billed, before its end; that of a void
# invoice is not billed again.
LAST_READ = """
SELECT period.id, line.id, line.price_id, line.subscription_item_id, line.meter_id, invoice.customer_id,
       period.starts_at, period.ends_at, coalesce(last.revision, 0),
       coalesce(last.quantity_after, line.usage_quantity), coalesce(last.events_after, line.usage_events),
       coalesce(last.snapshot_after, line.usage_snapshot), coalesce(last.read_after_at, line.usage_read_at),
       price.aggregate_usage IS NOT NULL
FROM unnest(%s::bigint[]) AS asked(id)
JOIN subscriptions_itemperiod AS period ON period.id = asked.id
CROSS JOIN LATERAL (
    SELECT * FROM invoices_invoiceline WHERE item_period_id = period.id
    ORDER BY revision DESC, kind = 'billed', tier NULLS FIRST, position LIMIT 1
) AS line
JOIN invoices_invoice AS invoice ON invoice.id = line.invoice_id
JOIN pricing_price AS price ON price.id = line.price_id
LEFT JOIN LATERAL (
    SELECT * FROM invoices_lateusage WHERE item_period_id = period.id ORDER BY revision DESC LIMIT 1
) AS last ON true
WHERE period.outcome = 'invoiced' AND line.meter_id IS NOT NULL AND invoice.status IN ('open', 'paid', 'uncollectible')
    AND invoice.created_at >= period.closed_at
ORDER BY period.id
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A period as it was read last, by the invoice line `line` or (`revision` above 0) by its latest correction."""

    period: int
    line: str
    price: str
    item: str
    meter: str
    customer: str
    start: datetime
    end: datetime
    revision: int
    quantity: Decimal
    events: int
    token: str
    taken_at: datetime
    of_records: bool

    def differs_from(self, now: Usage) -> bool:
        return (self.quantity, self.events) != (now.quantity, now.events)


def corrections_for(subscriptions: Sequence[Subscription], at: datetime) -> list[LateUsage]:
    """Record what has changed of these subscriptions' billed periods, just before their next invoices are made: these
    then have the corrections. The caller holds the customers' locks, and the subscriptions have their customers."""
    customers = {subscription.customer_id: subscription.customer for subscription in subscriptions}
    recent = ItemPeriod.objects.filter(
        item__subscription__any_of=[subscription.pk for subscription in subscriptions],
        ends_at__gte=at - WINDOW,
        outcome=ItemPeriod.Outcome.INVOICED,
        price__meter__isnull=False,
    )
    found = differences(last_readings(recent.values_list("pk", flat=True)))
    return record(found, customers, at=at, invoiced_next={subscription.pk for subscription in subscriptions})


def correct_period(period_id: str, at: datetime) -> LateUsage | None:
    """Record what has changed of a billed period; None where nothing has. Idempotent. Locks the customer."""
    with transaction.atomic():
        owner = Customer.objects.filter(subscriptions__items__periods=int(period_id)).values_list("pk", flat=True)
        rows = _correct([int(period_id)], lock_customers(owner), at)
        return rows[0] if rows else None


def correct_many(period_ids: Sequence[str], at: datetime) -> set[str]:
    """The same for those of these periods whose customers nobody else is at work on, all or none; returns which
    had changed."""
    ids = [int(id) for id in period_ids]
    with transaction.atomic():
        owners = Customer.objects.filter(subscriptions__items__periods__any_of=ids).values_list("pk", flat=True)
        rows = _correct(ids, lock_customers(owners, skip_locked=True), at)
        return {str(row.item_period_id) for row in rows}


def _correct(period_ids: Sequence[int], customers: dict[str, Customer], at: datetime) -> list[LateUsage]:
    """Read again under the locks: what others have recorded meanwhile is no difference any more."""
    readings = [reading for reading in last_readings(period_ids) if reading.customer in customers]
    return record(differences(readings), customers, at=at)


def last_readings(period_ids: Iterable[int]) -> list[Reading]:
    """How each of these periods was read last; those that are not billed, not finally or not any more, are left out."""
    with connection.cursor() as cursor:
        cursor.execute(LAST_READ, [list(period_ids)])
        return [Reading(*row) for row in cursor.fetchall()]


def differences(readings: Sequence[Reading]) -> list[Difference]:
    """Those periods whose usage is another now, with every event acknowledged before this call."""
    meters = Meter.objects.in_bulk({reading.meter for reading in readings})
    owners = Customer.objects.only("ref").filter(pk__any_of=list({reading.customer for reading in readings}))
    customers = {customer.pk: customer for customer in owners}
    asked = [
        Question(
            meters[reading.meter],
            customers[reading.customer],
            reading.start,
            reading.end,
            usage_of(reading.item, of_records=reading.of_records),
        )
        for reading in readings
    ]
    return [
        Difference(
            period=reading.period,
            line=reading.line,
            revision=reading.revision + 1,
            quantity=reading.quantity,
            events=reading.events,
            token=reading.token,
            taken_at=reading.taken_at,
            now=now,
        )
        for reading, now in zip(readings, usage_many(asked), strict=True)
        if reading.differs_from(now)
    ]


def changed(at: datetime, clock: str | None) -> Iterator[int]:
    """The billed periods that can still change and have, a page of invoices at a time."""
    for page in _pages(at, clock):
        yield from (difference.period for difference in differences(last_readings(page)))


def _pages(at: datetime, clock: str | None) -> Iterator[list[int]]:
    """Periods that ended within the window, by the invoices that have billed them (an invoice is not made before the
    period ends); and older ones of which an event was cancelled or replayed lately."""
    recent = (
        Invoice.objects.finalized().exclude(status=Invoice.Status.VOID).on_clock(clock).order_by("created_at", "pk")
    )
    last: tuple[datetime, str] | None = (at - WINDOW, "")
    while last is not None:
        page = recent.filter(created_at__gte=last[0]).exclude(created_at=last[0], pk__lte=last[1])
        rows = list(page.values_list("created_at", "pk")[:PAGE])
        yield list(
            ItemPeriod.objects.filter(invoice_lines__invoice__any_of=[pk for _, pk in rows], ends_at__gte=at - WINDOW)
            .filter(price__meter__isnull=False)
            .order_by()
            .values_list("pk", flat=True)
            .distinct()
        )
        last = rows[-1] if len(rows) == PAGE else None
    yield periods_of_old_changes(clock, before=at - WINDOW)


def _due(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    found = []
    for period in changed(at, clock):
        found.append(str(period))
        if len(found) == limit:
            break
    return found


def _next(clock: str | None) -> datetime | None:
    """Usage arrives, and no time brings it: on a test clock it is looked at when the clock moves."""
    return _frozen(clock, lambda at: bool(_due(at, clock, 1)))


def _due_left_over(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    return list(LateUsage.objects.left_over().on_clock(clock).order_by("pk").values_list("pk", flat=True)[:limit])


def _next_left_over(clock: str | None) -> datetime | None:
    return _frozen(clock, lambda at: bool(_due_left_over(at, clock, 1)))


def _frozen(clock: str | None, is_due: Callable[[datetime], bool]) -> datetime | None:
    at = TestClock.objects.filter(pk=clock).values_list("frozen_time", flat=True).first() if clock else None
    return at if at and is_due(at) else None


# Before the next period is closed, so that its invoice has the correction.
CORRECT = TimedWork("correct_late_usage", 15, _next, _due, correct_period, correct_many, BATCH)
LEFT_OVER = TimedWork("bill_left_over_late_usage", 16, _next_left_over, _due_left_over, bill_left_over)
