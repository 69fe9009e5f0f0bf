"""Holds: what is approved, what each verb leaves, and that time and the database have the last word."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from core.errors import BillingError, InvalidRequest, NotFound, ResourceMissing
from credits.due import EXPIRE_HOLDS
from credits.grants import NewGrant, create_grant
from credits.holds import Capture, HoldNotOpen, NewHold, capture_hold, create_hold, expire_hold, release_hold
from credits.models import CreditGrant, CreditHold, CreditTransaction
from customers.models import Customer
from meters.ingest import Record
from meters.models import Meter, MeterEvent
from subscriptions.models import Subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

NOON = utc(2026, 1, 20, 12)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def customer() -> Customer:
    return make.customer()


@pytest.fixture
def calls() -> Meter:
    return make.meter("calls")


@pytest.fixture
def subscription(customer: Customer, calls: Meter) -> Subscription:
    """Calls at 5 cents."""
    return make.subscribe(customer, make.price(meter=calls, unit="5"))


def grant(customer: Customer, amount: int | str, **fields: Any) -> CreditGrant:
    return create_grant(customer.pk, NewGrant(amount=Decimal(amount), **({"currency": "usd"} | fields)), at=JAN)


def money(customer: Customer, amount: int, *, at: Any = NOON, **fields: Any) -> CreditHold:
    return create_hold(customer.pk, NewHold(Decimal(amount), **({"currency": "usd"} | fields)), at=at)


def units(customer: Customer, meter: Meter, quantity: int | str, *, at: Any = NOON, **fields: Any) -> CreditHold:
    return create_hold(customer.pk, NewHold(Decimal(quantity), meter=meter.pk, **fields), at=at)


def event(customer: Customer, value: str, identifier: str | None = None, name: str = "calls") -> Record:
    return Record(name, {"stripe_customer_id": customer.pk, "value": value}, identifier, NOON)


def live(hold: CreditHold) -> list[str]:
    return [one["live"] for one in hold.standing["balances"]]


def test_money_is_set_aside_until_there_is_no_more(customer: Customer) -> None:
    """1000 cents: 600, then not 401, then 400."""
    grant(customer, 1000)
    first, second, third = money(customer, 600), money(customer, 401), money(customer, 400)
    assert [hold.status for hold in (first, second, third)] == ["approved", "declined", "approved"]
    assert [live(hold) for hold in (first, second, third)] == [["400"], ["400"], ["0"]]
    assert second.decline_reason == "insufficient_credits"
    assert CreditTransaction.objects.count() == 1


def test_units_are_rated_with_the_usage_of_their_meter(
    customer: Customer, calls: Meter, subscription: Subscription
) -> None:
    """1000 cents at 5 cents a call: 100 are used, so 100 more can be held and not one beyond."""
    grant(customer, 1000)
    make.event(customer, "calls", "100", at=NOON - HOUR)
    assert units(customer, calls, 101).status == "declined"
    hold = units(customer, calls, 100)
    assert (hold.status, live(hold), hold.standing["uncovered"]) == ("approved", ["0"], {"usd": 0})
    assert units(customer, calls, "0.1").status == "declined"


def test_tiers_go_on_where_the_usage_is(customer: Customer, calls: Meter) -> None:
    """100 calls at 10, then at 1: of 90 used, 20 more cost 110, and each further one 1."""
    make.subscribe(customer, make.price(meter=calls, tiers=[("100", "10", None), (None, "1", None)]))
    grant(customer, 900 + 110 + 1)
    make.event(customer, "calls", "90", at=NOON - HOUR)
    assert live(units(customer, calls, 20)) == ["1"]
    assert [units(customer, calls, 1).status for _ in range(2)] == ["approved", "declined"]


def test_units_of_a_meter_are_held_of_grants_in_units_first(
    customer: Customer, calls: Meter, subscription: Subscription
) -> None:
    grant(customer, 30, currency="", meter=calls.pk, priority=1)
    grant(customer, 100)
    hold = units(customer, calls, 40)
    assert hold.standing["balances"] == [
        {"currency": "usd", "meter": None, "live": "50"},
        {"currency": "", "meter": calls.pk, "live": "0"},
    ]


def test_money_is_held_of_what_pays_for_all_that_it_is_for(
    customer: Customer, calls: Meter, subscription: Subscription
) -> None:
    """300 for words, 200 for anything: 200 for no price named, 500 for words, 200 for words or calls."""
    words = make.price(meter=make.meter("words"), unit="1")
    own = subscription.items.get().price_id
    grant(customer, 300, prices=(words.pk,), priority=1)
    grant(customer, 200)
    grant(customer, 77, currency="eur")
    most = {(): 200, (words.pk,): 500, (words.pk, own): 200, (own,): 200}
    for prices, amount in most.items():
        assert money(customer, amount + 1, prices=prices).status == "declined"
        hold = money(customer, amount, prices=prices)
        assert hold.status == "approved"
        release_hold(hold.pk, at=NOON)


def test_a_spend_cap_lets_so_much_be_uncovered(customer: Customer, calls: Meter, subscription: Subscription) -> None:
    """100 cents of credits and a cap of 50: 30 calls. The cap is of each hold, and all that is uncovered counts."""
    grant(customer, 100)
    assert units(customer, calls, 31, spend_cap=50).status == "declined"
    hold = units(customer, calls, 30, spend_cap=50)
    assert (hold.status, live(hold), hold.standing["uncovered"]) == ("approved", ["0"], {"usd": 50})
    assert units(customer, calls, 1, spend_cap=50).status == "declined"
    assert units(customer, calls, 1, spend_cap=55).status == "approved"


def test_what_costs_nothing_is_approved_even_if_too_much_is_used(customer: Customer, calls: Meter) -> None:
    """Usage that came without a hold has happened. The first thousand words are free."""
    free = make.price(meter=make.meter("words"), tiers=[("1000", "0", None), (None, "1", None)])
    make.subscribe(customer, make.price(meter=calls, unit="5"), free)
    make.event(customer, "calls", "10", at=NOON - HOUR)
    assert units(customer, free.meter, 1000).status == "approved"
    assert units(customer, free.meter, 1).status == "declined"


def test_units_that_nobody_has_a_price_for_are_declined(customer: Customer, calls: Meter) -> None:
    grant(customer, 1000)
    hold = units(customer, calls, 1)
    assert (hold.status, hold.decline_reason) == ("declined", "not_priced")


def test_a_capture_stores_the_usage_and_frees_the_rest(
    customer: Customer, calls: Meter, subscription: Subscription
) -> None:
    """Of 100 calls held 60 are used: 300 of 1000 cents."""
    grant(customer, 1000)
    hold = units(customer, calls, 100)
    captured = capture_hold(hold.pk, Capture((event(customer, "20", "a"), event(customer, "40", "b"))), at=NOON)
    assert (captured.status, captured.captured_amount, captured.captured_events) == ("captured", 60, 2)
    assert (live(captured), captured.is_exceeded) == (["700"], False)
    assert units(customer, calls, 140).status == "approved"


def test_more_than_was_held_is_stored_and_said_if_credits_do_not_cover_it(
    customer: Customer, calls: Meter, subscription: Subscription
) -> None:
    grant(customer, 1000)
    within, beyond = units(customer, calls, 50), units(customer, calls, 50)
    within = capture_hold(within.pk, Capture((event(customer, "150"),)), at=NOON)
    assert (live(within), within.is_exceeded) == (["0"], False)
    beyond = capture_hold(beyond.pk, Capture((event(customer, "51"),)), at=NOON)
    assert (live(beyond), beyond.is_exceeded, beyond.standing["uncovered"]) == (["0"], True, {"usd": 5})


def test_an_amount_is_a_note(customer: Customer) -> None:
    grant(customer, 1000)
    hold = money(customer, 400)
    captured = capture_hold(hold.pk, Capture(amount=Decimal(300), currency="usd"), at=NOON)
    assert (captured.captured_amount, captured.captured_events, live(captured)) == (300, 0, ["700"])
    assert live(money(customer, 1)) == ["999"]
    beyond = capture_hold(money(customer, 1).pk, Capture(amount=Decimal(1001), currency="usd"), at=NOON)
    assert beyond.is_exceeded


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([("calls", "1"), ("nothing", "1")], "nothing"),
        ([("calls", "x")], "value"),
    ],
)
def test_a_capture_with_a_bad_event_stores_nothing(
    customer: Customer, calls: Meter, subscription: Subscription, records: list[tuple[str, str]], message: str
) -> None:
    grant(customer, 1000)
    hold = units(customer, calls, 10)
    events = tuple(event(customer, value, name=name) for name, value in records)
    with pytest.raises(BillingError, match=message) as refused:
        capture_hold(hold.pk, Capture(events), at=NOON)
    assert str(refused.value.param).startswith(f"events[{len(records) - 1}]")
    assert not MeterEvent.objects.exists()
    assert CreditHold.objects.get().status == "approved"


def test_events_of_another_customer_are_refused(customer: Customer, calls: Meter, subscription: Subscription) -> None:
    grant(customer, 1000)
    hold = units(customer, calls, 10)
    with pytest.raises(InvalidRequest, match="another customer"):
        capture_hold(hold.pk, Capture((event(make.customer(), "1"),)), at=NOON)
    assert not MeterEvent.objects.exists()


def test_the_same_capture_again_changes_nothing(customer: Customer, calls: Meter, subscription: Subscription) -> None:
    grant(customer, 1000)
    hold = units(customer, calls, 10)
    capture = Capture((event(customer, "7"),))
    first = capture_hold(hold.pk, capture, at=NOON)
    again = capture_hold(hold.pk, capture, at=NOON + HOUR)
    assert CreditHold.objects.filter(pk=hold.pk).values().get() == {
        name: getattr(first, name) for name in CreditHold.objects.filter(pk=hold.pk).values().get()
    }
    assert (again.settled_at, MeterEvent.objects.count()) == (NOON, 1)
    with pytest.raises(HoldNotOpen, match="captured"):
        capture_hold(hold.pk, Capture((event(customer, "8"),)), at=NOON)


def test_what_is_released_is_there_again(customer: Customer) -> None:
    grant(customer, 1000)
    hold = money(customer, 1000)
    assert live(release_hold(hold.pk, at=NOON)) == ["1000"]
    assert release_hold(hold.pk, at=NOON + HOUR).settled_at == NOON
    assert money(customer, 1000).status == "approved"


def test_a_hold_ends_at_its_instant_and_the_sweep_only_marks_it(customer: Customer) -> None:
    grant(customer, 1000)
    hold = money(customer, 1000, expires_in=MINUTE)
    just_before = NOON + MINUTE - timedelta(microseconds=1)
    assert money(customer, 1, at=just_before).status == "declined"
    assert expire_hold(hold.pk, just_before) is None
    other = money(customer, 1000, at=NOON + MINUTE, expires_in=HOUR)
    assert other.status == "approved"
    for settle in (
        lambda: release_hold(hold.pk, at=NOON + MINUTE),
        lambda: capture_hold(hold.pk, Capture(), at=NOON + MINUTE),
    ):
        with pytest.raises(HoldNotOpen, match="expired"):
            settle()
    assert EXPIRE_HOLDS.next_at(None) == NOON + MINUTE
    assert list(EXPIRE_HOLDS.due(NOON + MINUTE, None, 10)) == [hold.pk]
    marked = expire_hold(hold.pk, NOON + 2 * MINUTE)
    assert marked is not None
    assert (marked.status, marked.settled_at) == ("expired", NOON + MINUTE)
    assert expire_hold(hold.pk, NOON + 2 * MINUTE) is None
    assert EXPIRE_HOLDS.next_at(None) == NOON + MINUTE + HOUR


def test_holds_live_by_the_clock_of_their_customer() -> None:
    clock = make.clock(NOON)
    customer = make.customer(on=clock)
    grant(customer, 1000)
    hold = money(customer, 1000, at=utc(2030, 1, 1))
    assert (hold.created_at, hold.expires_at) == (NOON, NOON + 15 * MINUTE)
    assert money(customer, 1, at=utc(2030, 1, 1)).status == "declined"
    make.move(clock, NOON + HOUR)
    assert CreditHold.objects.get(pk=hold.pk).status == "expired"
    assert money(customer, 1000, at=utc(2030, 1, 1)).status == "approved"


def test_a_declined_hold_can_be_neither_captured_nor_released(customer: Customer) -> None:
    hold = money(customer, 1)
    with pytest.raises(HoldNotOpen, match="declined"):
        release_hold(hold.pk, at=NOON)
    with pytest.raises(HoldNotOpen, match="declined"):
        capture_hold(hold.pk, Capture(amount=Decimal(1), currency="usd"), at=NOON)


@pytest.mark.parametrize(
    ("new", "param"),
    [
        ({"currency": "xxx"}, "amount[monetary][currency]"),
        ({"meter": "mtr_none"}, "amount[usage][meter]"),
        ({"currency": "usd", "prices": ("price_none",)}, "prices[0][id]"),
        ({"currency": "usd", "expires_in": timedelta(days=7, seconds=1)}, "expires_in"),
        ({"currency": "usd", "expires_in": timedelta(0)}, "expires_in"),
    ],
)
def test_what_is_refused(customer: Customer, new: dict[str, Any], param: str) -> None:
    with pytest.raises((InvalidRequest, ResourceMissing)) as refused:
        create_hold(customer.pk, NewHold(Decimal(1), **new), at=NOON)
    assert refused.value.param == param
    assert not CreditHold.objects.exists()


@pytest.mark.parametrize("rules", [{"formula": "max"}, {"formula": "sum", "event_time_window": "day"}])
def test_units_of_a_meter_that_does_not_add_up_are_refused(customer: Customer, rules: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="counts or adds up"):
        units(customer, make.meter("peak", **rules), 1)


def test_who_is_not_there(customer: Customer) -> None:
    with pytest.raises(ResourceMissing):
        money(Customer(pk="cus_none"), 1)
    for verb in (release_hold, expire_hold):
        with pytest.raises(NotFound):
            verb("chld_none", at=NOON)


@pytest.mark.parametrize("settle", ["release", "capture", "expire", "decline"])
def test_a_settled_hold_never_changes(customer: Customer, settle: str) -> None:
    if settle != "decline":
        grant(customer, 1000)
    hold = money(customer, 10, expires_in=MINUTE)
    verbs: dict[str, Callable[[], object]] = {
        "release": lambda: release_hold(hold.pk, at=NOON),
        "capture": lambda: capture_hold(hold.pk, Capture(amount=Decimal(1), currency="usd"), at=NOON),
        "expire": lambda: expire_hold(hold.pk, NOON + HOUR),
        "decline": lambda: None,
    }
    verbs[settle]()
    for change in ({"status": "approved", "settled_at": None}, {"metadata": {"a": "1"}}):
        with pytest.raises(IntegrityError, match="stays so"), transaction.atomic():
            CreditHold.objects.filter(pk=hold.pk).update(**change)
    with pytest.raises(IntegrityError, match="stays"), transaction.atomic():
        hold.delete()


@pytest.mark.parametrize("change", [{"amount": 5}, {"spend_cap": 5}, {"expires_at": NOON + HOUR}, {"currency": "eur"}])
def test_what_a_hold_is_for_is_fixed(customer: Customer, change: dict[str, Any]) -> None:
    grant(customer, 1000)
    hold = money(customer, 10)
    with pytest.raises(IntegrityError, match="may change"), transaction.atomic():
        CreditHold.objects.filter(pk=hold.pk).update(**change)


def test_a_hold_costs_as_many_statements_as_the_next(
    customer: Customer, calls: Meter, subscription: Subscription
) -> None:
    """Neither more grants, nor more holds, nor more usage make it more."""
    counts = []
    for _ in range(3):
        for _ in range(5):
            grant(customer, 10)
            make.event(customer, "calls", "1", at=NOON - HOUR)
            units(customer, calls, 1)
        with CaptureQueriesContext(connection) as seen:
            units(customer, calls, 1)
        counts.append(len(seen))
    assert len(set(counts[1:])) == 1
    assert counts[-1] <= 24
