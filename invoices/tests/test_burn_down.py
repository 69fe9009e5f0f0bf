"""The live balance: what it says of usage so far, and that real invoices then debit exactly that."""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.sweep import sweep
from credits.due import EXPIRE
from credits.grants import NewGrant, create_grant
from credits.holds import Capture, NewHold, capture_hold, create_hold
from credits.models import CreditGrant, CreditTransaction
from customers.models import Customer
from invoices.burn_down import BurnDown, Spend, burn_down, burn_downs
from invoices.close import close_period
from invoices.due import CLOSE, FINALIZE
from invoices.models import Invoice, InvoiceLine
from invoices.thresholds import check_threshold
from meters.ingest import Record
from meters.models import Meter
from pricing.discounts import Owner, set_discounts
from pricing.models import Price
from pricing.redeem import Sale
from pricing.tests.discounting import coupon
from subscriptions.models import Subscription
from subscriptions.pause import pause_subscription
from subscriptions.periods import Period
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MAR = utc(2026, 2, 1), utc(2026, 3, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = utc(2026, 1, 20, 12)


@pytest.fixture
def customer() -> Customer:
    return make.customer()


@pytest.fixture
def calls() -> Meter:
    return make.meter("calls")


def grant(customer: Customer, amount: int | str, **fields: Any) -> CreditGrant:
    return create_grant(customer.pk, NewGrant(amount=Decimal(amount), **({"currency": "usd"} | fields)), at=JAN)


def use(customer: Customer, calls: int | str, at: datetime = NOON - HOUR, name: str = "calls") -> None:
    make.event(customer, name, str(calls), at=at)


def left(found: BurnDown) -> list[int | Decimal]:
    return [each.left for each in found.grants]


def test_what_is_used_is_off_the_balance_with_the_next_read(customer: Customer, calls: Meter) -> None:
    """Calls at 5 cents; a grant of 1000 cents; the ledger knows nothing of it."""
    make.subscribe(customer, make.price(meter=calls, unit="5"))
    given = grant(customer, 1000)
    for used, live in ((0, 1000), (30, 850), (170, 0), (10, 0)):
        if used:
            use(customer, used)
        assert burn_down(customer, at=NOON).live_balances() == {"usd": live}
    found = burn_down(customer, at=NOON)
    assert found.spend == {"usd": Spend(1050, 50, Period(JAN, FEB))}
    assert CreditGrant.objects.get(pk=given.pk).balance == 1000


def test_without_a_subscription_the_ledger_is_the_balance(customer: Customer) -> None:
    grant(customer, 1000)
    grant(customer, 500, currency="eur")
    found = burn_down(customer, at=NOON)
    assert (found.live_balances(), found.spend) == ({"usd": 1000, "eur": 500}, {})


def test_grants_are_used_in_their_order_and_scope(customer: Customer, calls: Meter) -> None:
    """100 calls at 2 come first: 80 by units, 120 of the common 300. 70 words at 5: 100 of their own, 180 of the common
    ones, and the other 70 of the last."""
    words = make.price(meter=make.meter("words"), unit="5")
    make.subscribe(customer, words, make.price(meter=calls, unit="2"))
    grant(customer, 100, prices=(words.pk,), priority=1)
    grant(customer, 300, priority=2)
    grant(customer, 40, currency="", meter=calls.pk, priority=0)
    grant(customer, 900, priority=4)
    use(customer, 70, name="words")
    use(customer, 100)
    assert left(burn_down(customer, at=NOON)) == [0, 0, 0, 830]


def test_a_grant_that_ends_before_the_invoice_pays_nothing_and_stands_until_it_ends(
    customer: Customer, calls: Meter
) -> None:
    make.subscribe(customer, make.price(meter=calls, unit="5"))
    grant(customer, 1000, expires_at=NOON + DAY)
    grant(customer, 1000)
    use(customer, 30)
    assert left(burn_down(customer, at=NOON)) == [1000, 850]
    assert burn_down(customer, at=NOON).live_balances() == {"usd": 1850}
    assert burn_down(customer, at=NOON + DAY).live_balances() == {"usd": 850}


def test_a_grant_that_is_still_to_begin_is_used_but_not_in_the_balance(customer: Customer, calls: Meter) -> None:
    """Effective before the end of the period, it pays for all of it, and what has been used is off it once it is in
    the balance."""
    make.subscribe(customer, make.price(meter=calls, unit="5"))
    grant(customer, 1000, effective_at=NOON + DAY)
    use(customer, 30)
    assert burn_down(customer, at=NOON).live_balances() == {"usd": 0}
    assert burn_down(customer, at=NOON).spend["usd"].uncovered == 0
    assert burn_down(customer, at=NOON + DAY).live_balances() == {"usd": 850}


def test_drafts_come_first_and_the_running_period_uses_what_they_leave(calls: Meter) -> None:
    """January 100 calls, a draft for an hour; February 60 so far: 500 and 300 of 600."""
    customer = make.customer(invoice_grace_seconds=3600)
    subscription = make.subscribe(customer, make.price(meter=calls, unit="5"))
    grant(customer, 600)
    use(customer, 100)
    close_period(subscription.pk, FEB)
    use(customer, 60, at=FEB + timedelta(minutes=1))
    found = burn_down(customer, at=FEB + timedelta(minutes=5))
    assert left(found) == [0]
    assert found.spend == {"usd": Spend(300, 200, Period(FEB, MAR))}


def test_a_boundary_that_nobody_has_closed_yet_hides_nothing(customer: Customer, calls: Meter) -> None:
    """The sweep is late by five minutes: January is not closed, February not opened, and both count."""
    make.subscribe(customer, make.price(meter=calls, unit="5"))
    grant(customer, 1000)
    use(customer, 100)
    use(customer, 60, at=FEB + timedelta(minutes=1))
    found = burn_down(customer, at=FEB + timedelta(minutes=5))
    assert left(found) == [200]
    assert found.spend["usd"].amount == 800


def test_what_a_threshold_has_billed_is_used_once(customer: Customer, calls: Meter) -> None:
    """600 billed at a threshold, 400 of it by credits; then 400 more, which the second grant pays."""
    terms = {"billing_thresholds": {"amount_gte": 200}}
    subscription = make.subscribe(customer, make.price(meter=calls, unit="5"), terms=terms)
    grant(customer, 400)
    use(customer, 120)
    check_threshold(subscription.pk, NOON)
    grant(customer, 5000)
    use(customer, 80)
    found = burn_down(customer, at=NOON)
    assert (left(found), found.spend["usd"]) == ([4600], Spend(1000, 0, Period(JAN, FEB)))


def test_levels_count_until_now(customer: Customer) -> None:
    """A level of 2, for 12 hours so far, at 5 cents an hour."""
    seats = make.meter("seats", formula="time_weighted_sum")
    make.subscribe(customer, make.price(meter=seats, unit="5"))
    grant(customer, 1000)
    use(customer, 2, at=NOON - 12 * HOUR, name="seats")
    assert left(burn_down(customer, at=NOON)) == [880]


def test_a_coupon_for_one_invoice_is_for_the_first_to_come(customer: Customer, calls: Meter) -> None:
    """Half of the first 500, and all of the second 500."""
    set_discounts(
        Owner(customer.pk), [{"coupon": coupon(percent_off=Decimal(50), duration="once").pk}], sale=Sale(), at=JAN
    )
    for _ in range(2):
        make.subscribe(customer, make.price(meter=calls, unit="5"))
    grant(customer, 10_000)
    use(customer, 100)
    assert left(burn_down(customer, at=NOON)) == [10_000 - 250 - 500]


def test_usage_from_before_a_pause_waits_and_is_used(customer: Customer, calls: Meter) -> None:
    subscription = make.subscribe(customer, make.price(meter=calls, unit="5"))
    grant(customer, 1000)
    use(customer, 100)
    pause_subscription(subscription.pk, at=NOON)
    use(customer, 100, at=NOON + HOUR)
    assert left(burn_down(customer, at=NOON + 2 * HOUR)) == [500]


def test_numbers_beyond_what_can_be_billed_leave_nothing(customer: Customer, calls: Meter) -> None:
    make.subscribe(customer, make.price(meter=calls, unit="999999999999"))
    grant(customer, 1000)
    use(customer, "999999999999999")
    assert burn_down(customer, at=NOON).live_balances() == {"usd": 0}


def test_many_customers_are_read_in_as_many_statements_as_one(calls: Meter) -> None:
    price = make.price(meter=calls, unit="5")
    customers = [make.customer() for _ in range(5)]
    for number, customer in enumerate(customers, 1):
        make.subscribe(customer, price)
        grant(customer, 1000)
        use(customer, 10 * number)
    burn_down(customers[0], at=NOON)
    with CaptureQueriesContext(connection) as one:
        burn_down(customers[0], at=NOON)
    with CaptureQueriesContext(connection) as all_:
        found = burn_downs(customers, at=NOON)
    assert [left(found[customer.pk]) for customer in customers] == [[950], [900], [850], [800], [750]]
    assert len(all_) == len(one) <= 16


# -- what the live balance says is what invoices then debit


@pytest.mark.parametrize("grace", [0, 3600])
def test_of_two_subscriptions_the_older_one_uses_credits_first(calls: Meter, grace: int) -> None:
    """100 for both and 100 for words: the older one, with calls, takes what is for both, and words their own. The other
    way round the words would take what is for both, and the calls nothing."""
    customer = make.customer(invoice_grace_seconds=grace)
    words = make.price(meter=make.meter("words"), unit="1")
    make.subscribe(customer, make.price(meter=calls, unit="1"))
    make.subscribe(customer, words)
    grant(customer, 100, priority=1)
    grant(customer, 100, priority=2, prices=(words.pk,))
    use(customer, 100)
    use(customer, 100, name="words")
    assert left(burn_down(customer, at=NOON)) == [0, 0]
    sweep(CLOSE, FEB)
    sweep(FINALIZE, FEB + HOUR)
    assert list(CreditGrant.objects.values_list("balance", flat=True)) == [0, 0]


@pytest.mark.parametrize("seed", range(40))
def test_at_the_end_of_the_periods_invoices_debit_what_was_shown(seed: int) -> None:
    """Customers with up to three subscriptions whose periods end on two days, grants of every kind, coupons, licensed
    items, thresholds and grace. Before the periods end each grant says what is used of it; then all of them are closed
    and finalized as time does it, and every grant is debited that."""
    random = Random(seed)
    customer, moment, until = _random_customer(random)
    before = burn_down(customer, at=moment)
    known = set(CreditTransaction.objects.values_list("pk", flat=True))
    _let_time_pass(moment, until)
    debited = dict.fromkeys((each.grant.pk for each in before.grants), Decimal(0))
    for row in CreditTransaction.objects.filter(type="credits_applied").exclude(pk__in=known):
        debited[row.grant_id] += row.size
    assert debited == {each.grant.pk: each.used for each in before.grants}
    assert not Invoice.objects.drafts().exists()


@pytest.mark.parametrize("seed", range(20))
def test_what_was_held_and_captured_in_full_is_covered_when_it_is_invoiced(seed: int) -> None:
    """Holds of units by cap 0 until they are declined, captured with exactly so much usage: on the final invoices no
    more is uncovered than there was before the first of them."""
    random = Random(1000 + seed)
    customer, moment, until = _random_customer(random)
    grant(customer, 3000)
    before = burn_down(customer, at=moment).spend["usd"].uncovered
    approved = _held_and_captured(random, customer, moment)
    assert approved
    usage = burn_down(customer, at=moment)
    assert usage.spend["usd"].uncovered <= before
    drafts = set(Invoice.objects.drafts().values_list("pk", flat=True))
    known = drafts | set(Invoice.objects.finalized().values_list("pk", flat=True))
    _let_time_pass(moment, until)
    lines = InvoiceLine.objects.filter(meter__isnull=False).exclude(invoice__in=known)
    assert sum(line.amount - line.discount_total - line.credit_total for line in lines) <= before


def _held_and_captured(random: Random, customer: Customer, at: datetime) -> int:
    """How many were approved."""
    approved = 0
    for number in range(12):
        meter = random.choice(list(Meter.objects.all()))
        hold = create_hold(customer.pk, NewHold(Decimal(random.choice(["1", "9.5", "60"])), meter=meter.pk), at=at)
        if hold.status == "approved":
            approved += 1
            payload = {"stripe_customer_id": customer.pk, "value": str(hold.amount)}
            record = Record(meter.event_name, payload, f"{hold.pk}-{number}", at)
            captured = capture_hold(hold.pk, Capture((record,)), at=at)
            assert captured.captured_amount == hold.amount
    return approved


def _random_customer(random: Random) -> tuple[Customer, datetime, datetime]:
    customer = make.customer(invoice_grace_seconds=random.choice([0, 3600]))
    meters = [make.meter(f"m{n}") for n in range(3)]
    prices = [_random_price(random, random.choice(meters)) for _ in range(5)]
    if random.random() < 0.4:
        _random_coupon(random, Owner(customer.pk))
    for _ in range(random.randint(1, 3)):
        _random_subscription(random, customer, prices)
    for _ in range(random.randint(1, 6)):
        _random_grant(random, customer, meters, prices)
    _random_usage(random, customer, meters, since=utc(2026, 1, 11), days=15)
    for id in Subscription.objects.filter(threshold_amount__isnull=False).values_list("pk", flat=True):
        check_threshold(id, utc(2026, 1, 27))
    _random_usage(random, customer, meters, since=utc(2026, 1, 27), days=4)
    if customer.invoice_grace_seconds and random.random() < 0.5:
        sweep(CLOSE, FEB)  # drafts are there
        _random_usage(random, customer, meters, since=FEB, days=0)
        return customer, FEB + HOUR / 2, MAR + 2 * HOUR
    return customer, FEB - HOUR, utc(2026, 2, 11)


def _random_price(random: Random, meter: Meter) -> Price:
    tiers = [("40", "7", "100" if random.random() < 0.5 else None), (None, "2.5", None)]
    kind = random.choice(["unit", "package", "graduated", "volume"])
    if kind in ("graduated", "volume"):
        return make.price(meter=meter, tiers=tiers, mode=kind)
    return make.price(meter=meter, unit="3.7", per=10 if kind == "package" else None)


def _random_coupon(random: Random, owner: Owner) -> None:
    off: dict[str, Any] = random.choice([{"percent_off": Decimal("12.5")}, {"amount_off": 150, "currency": "usd"}])
    made = coupon(duration=random.choice(["once", "forever"]), **off)
    set_discounts(owner, [{"coupon": made.pk}], sale=Sale(), at=JAN)


def _random_subscription(random: Random, customer: Customer, prices: list[Price]) -> None:
    terms = {"billing_thresholds": {"amount_gte": 300}} if random.random() < 0.3 else {}
    by_meter = {price.meter_id: price for price in random.sample(prices, 3)}
    chosen = list(by_meter.values())
    if random.random() < 0.3:
        chosen.append(make.price(unit="900"))
    made = make.subscribe(customer, *chosen, at=random.choice([JAN, utc(2026, 1, 10)]), terms=terms)
    if random.random() < 0.3:
        _random_coupon(random, Owner(customer.pk, "subscription", made.pk))


def _random_grant(random: Random, customer: Customer, meters: list[Meter], prices: list[Price]) -> None:
    new: dict[str, Any] = {
        "priority": random.choice([10, 50]),
        "category": random.choice(["paid", "promotional"]),
        "effective_at": random.choice([None, utc(2026, 1, 20), utc(2026, 2, 5), utc(2026, 4, 1)]),
        "expires_at": random.choice([None, None, utc(2026, 6, 1), FEB, FEB + HOUR, utc(2026, 2, 10), MAR]),
    }
    if new["effective_at"] and new["expires_at"] and new["effective_at"] >= new["expires_at"]:
        new["expires_at"] = None
    meter = random.choice(meters) if random.random() < 0.4 else None
    if random.random() < 0.4:
        named = [price.pk for price in prices if meter is None or price.meter_id == meter.pk]
        new["prices"] = tuple(named[:2])
    if meter is not None:
        new |= {"currency": "", "meter": meter.pk}
    grant(customer, random.choice(["20", "55", "300"]), **new)


def _random_usage(random: Random, customer: Customer, meters: list[Meter], *, since: datetime, days: int) -> None:
    for _ in range(random.randint(1, 6)):
        at = since + timedelta(days=random.randint(0, days), minutes=random.randint(1, 20))
        use(customer, random.choice(["1", "17", "40.25", "95"]), at=at, name=random.choice(meters).event_name)


def _let_time_pass(since: datetime, until: datetime) -> None:
    """Do by the hour what is due, in the order in which one instant has it."""
    instants = [FEB, FEB + HOUR, utc(2026, 2, 10), utc(2026, 2, 10, 1), MAR, MAR + HOUR]
    for at in instants:
        if since < at <= until:
            for work in (EXPIRE, FINALIZE, CLOSE):
                sweep(work, at)
