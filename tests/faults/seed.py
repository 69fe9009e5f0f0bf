"""Runs inside an installation under test (`manage.py shell`): makes much that is due, and says what became of it."""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from core import clock
from customers.models import Customer
from invoices.models import Invoice
from subscriptions.models import ItemPeriod
from tests import make
from tests.faults.invariants import violations


def hurry() -> None:
    """Look for due work every second."""
    every_second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    for row in PeriodicTask.objects.filter(task__startswith="invoices.tasks."):
        row.interval, row.expire_seconds = every_second, 5
        row.save()


def subscribe_long_ago(customers: int, weeks: int) -> None:
    begin = clock.now() - timedelta(weeks=weeks, hours=1)
    meter = make.meter("worker_tokens", at=begin)
    tokens = make.price(meter=meter, unit="2.5", interval="week")
    seat = make.price(unit="700", interval="week", product="Seat")
    with transaction.atomic():  # all of it becomes due at one moment
        for number in range(customers):
            _subscribe(begin, weeks, number, tokens, seat)


def _subscribe(begin: datetime, weeks: int, number: int, *prices: object) -> None:
    customer = make.customer(begin, name=f"Worker {number}")
    make.subscribe(customer, *prices, at=begin)  # type: ignore[arg-type]
    for week in range(weeks):
        at = begin + timedelta(weeks=week, hours=1)
        make.event(customer, "worker_tokens", str(1 + number + week), at=at)


def state() -> dict[str, object]:
    """What there is, what is still to be done, and what is wrong."""
    now = clock.now()
    customers = Customer.objects.filter(name__startswith="Worker ")
    return {
        "customers": customers.count(),
        "invoices": Invoice.objects.filter(billing_reason="subscription_cycle").count(),
        "open": Invoice.objects.filter(billing_reason="subscription_cycle", status="open").count(),
        "due": ItemPeriod.objects.due(now).count() + Invoice.objects.filter(status=Invoice.Status.DRAFT).count(),
        "wrong": [what for customer in customers for what in violations(customer)],
    }


def sees_a_second_invoice() -> bool:
    """The control: a cycle invoiced twice, made by hand where no rule forbids it, has to be reported."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX invoice_one_per_subscription_and_cycle")
        invoice = Invoice.objects.filter(billing_reason="subscription_cycle").first()
        assert invoice
        customer, invoice.pk = invoice.customer, "in_second"
        invoice.number, invoice.status, invoice.finalized_at = None, Invoice.Status.DRAFT, None
        invoice.ending_balance = None
        invoice.save(force_insert=True)
        seen = any("2 invoices for" in what for what in violations(customer))
        transaction.set_rollback(True)
    return seen
