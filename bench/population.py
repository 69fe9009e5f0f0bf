"""Who sends what in every measurement: customers of very different sizes, and a few meters."""

import math
import random
import uuid
from collections.abc import Sequence
from datetime import timedelta

from core import clock
from customers.models import Customer
from meters.ingest import Record
from meters.lifecycle import create_meter
from meters.models import Meter

CUSTOMERS = 10_000


def settle(*formulas: str) -> tuple[list[Customer], list[Meter]]:
    """Make the customers and a meter per formula, `meter_0` and on; both with numbers that follow one another."""
    at = clock.now()
    for number, formula in enumerate(formulas):
        create_meter(display_name=f"Meter {number}", event_name=f"meter_{number}", formula=formula, at=at)
    Customer.objects.bulk_create(
        Customer(name=f"Customer {n}", invoice_prefix=f"C{n}", created_at=at) for n in range(CUSTOMERS)
    )
    customers, meters = list(Customer.objects.order_by("ref")), list(Meter.objects.order_by("ref"))
    for rows in (customers, meters):
        assert rows[-1].ref - rows[0].ref == len(rows) - 1
    return customers, meters


def rank() -> int:
    """Zipf: the share of the n-th customer, counted from 0, is proportional to 1/(n+1)."""
    return int(math.exp(random.random() * math.log(CUSTOMERS))) - 1


def record(customers: Sequence[Customer], meters: Sequence[Meter], *, identifier: str | None = None) -> Record:
    """An event of now; two in a hundred are late."""
    late = timedelta(days=random.random() * 30) if random.random() < 0.02 else timedelta()
    payload = {
        "stripe_customer_id": customers[rank()].pk,
        "value": str(random.randint(1, 99_999)),
        "model": random.choice(["small-2", "large-2"]),
        "region": random.choice(["eu-west-1", "us-east-1"]),
    }
    at = clock.now() - late - timedelta(seconds=random.random())
    return Record(random.choice(meters).event_name, payload, identifier or str(uuid.uuid4()), at)
