"""Runs inside an installation under test (`manage.py shell`): makes much that is due, and says what became of it."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from core import clock
from credits.grants import NewGrant, create_grant
from credits.models import CreditGrant
from customers.models import Customer, WatchMark
from invoices.models import Invoice
from meters.models import Meter, MeterEvent
from subscriptions.models import ItemPeriod
from tests import make
from tests.faults.invariants import violations
from webhooks.delivery_models import Delivery


def hurry() -> None:
    """Look for due work every second."""
    every_second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    for row in PeriodicTask.objects.filter(task__regex=r"^(invoices|credits)\.tasks\."):
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


def wallets(count: int, amount: int) -> list[str]:
    """Customers with credits that nothing uses but what was held first: a cent for each token."""
    made = []
    price = make.price(meter=make.meter("wallet_tokens", at=clock.now()), unit="1")
    for number in range(count):
        customer = make.customer(clock.now(), name=f"Wallet {number}")
        create_grant(customer.pk, NewGrant(Decimal(amount), currency="usd"), at=clock.now())
        make.subscribe(customer, price, at=clock.now())
        made.append(customer.pk)
    return made


def burn_long_ago(wave: int, customers: int, weeks: int) -> None:
    """Customers whose past weeks are due, and are paid by credits of which some end meanwhile. Once for each wave."""
    if Customer.objects.filter(name__startswith=f"Live {wave} ").exists():
        return
    begin = clock.now() - timedelta(weeks=weeks, hours=1)
    with transaction.atomic():
        meter = Meter.objects.filter(event_name="live_tokens").first() or make.meter("live_tokens", at=begin)
        tokens = make.price(meter=meter, unit="2.5", interval="week")
        for number in range(customers):
            customer = make.customer(begin, name=f"Live {wave} {number}")
            for amount, ends in ((40, weeks), (100, 1), (7, 2)):
                new = NewGrant(Decimal(amount), currency="usd", expires_at=begin + timedelta(weeks=ends, minutes=30))
                create_grant(customer.pk, new, at=begin)
            make.subscribe(customer, tokens, at=begin)
            for week in range(weeks):
                make.event(customer, "live_tokens", str(9 + number), at=begin + timedelta(weeks=week, hours=1))


def left_to_do() -> dict[str, int]:
    """What is still due or on its way."""
    now = clock.now()
    return {
        "periods": ItemPeriod.objects.due(now).count(),
        "drafts": Invoice.objects.filter(status=Invoice.Status.DRAFT).count(),
        "grants": CreditGrant.objects.to_expire(now).count(),
        "deliveries": Delivery.objects.filter(next_attempt_at__isnull=False).count(),
        "customers to evaluate": WatchMark.objects.count(),
    }


def audit_live(wallet: int) -> dict[str, object]:
    """What is wrong with the customers of a run, and how many invoices these have."""
    customers = Customer.objects.filter(name__startswith="Live ")
    wrong = [what for customer in customers for what in violations(customer)]
    for customer in Customer.objects.filter(name__startswith="Wallet "):
        wrong += violations(customer)
        spent = sum(MeterEvent.objects.filter(customer_ref=customer.ref).values_list("value", flat=True))
        held = sum(customer.credit_holds.held(clock.now()).values_list("amount", flat=True))
        if spent + held > wallet:
            wrong.append(f"{customer.pk} has {wallet}, and {spent} were captured, {held} are held")
        if not spent:
            wrong.append(f"nothing was captured from {customer.pk}")
    failed = Delivery.objects.filter(status=Delivery.Status.FAILED).count()
    wrong += [f"{failed} deliveries were given up"] if failed else []
    return {"wrong": wrong, "invoices": Invoice.objects.filter(customer__in=customers).count()}


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
