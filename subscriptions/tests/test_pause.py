"""Pausing and resuming: which usage is billed, what is credited and charged, and what a pause does not survive."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.errors import InvalidRequest, NotFound
from invoices.biller import InvoiceBiller
from invoices.close import close_period
from invoices.models import Invoice, InvoiceItem
from invoices.preview import NothingUpcoming, preview_next
from subscriptions.cancel import cancel_subscription
from subscriptions.change import Cancellation, update_subscription
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.pause import Pause, Resumption, pause_subscription, resume_subscription
from subscriptions.trials import Trial
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

MICROSECOND = timedelta(microseconds=1)
PAUSE, FEB, RESUME, MAR, APR = utc(2026, 1, 11), utc(2026, 2, 1), utc(2026, 2, 15), utc(2026, 3, 1), utc(2026, 4, 1)


def seats(**fields: Any) -> Subscription:
    """31.00 a month in advance."""
    return make.subscribe(make.customer(), make.price(unit="3100", product="Seats"), **fields)


def tokens() -> Subscription:
    """0.05 each; 4 used just before 11 January, 100 from then on, 1000 just before 15 February, 2 from then on."""
    subscription = make.subscribe(make.customer(), make.price(meter=make.meter(), unit="5"))
    for value, at in (("4", PAUSE - MICROSECOND), ("100", PAUSE), ("1000", RESUME - MICROSECOND), ("2", RESUME)):
        make.event(subscription.customer, value=value, at=at)
    return subscription


def slices(subscription: Subscription) -> list[tuple[str, datetime, datetime, str | None]]:
    rows = ItemPeriod.objects.filter(item__subscription=subscription).order_by("item", "starts_at")
    return [(row.kind, row.starts_at, row.ends_at, row.outcome) for row in rows]


def pending() -> list[tuple[int, datetime, datetime]]:
    rows = InvoiceItem.objects.filter(invoice=None).order_by("created_at")
    return [(row.amount, row.period_start, row.period_end) for row in rows]


def totals() -> list[int]:
    return [invoice.total for invoice in Invoice.objects.order_by("created_at", "pk")]


def catch_up(subscription: Subscription, at: datetime) -> None:
    InvoiceBiller().bill_due(subscription, at=at)
    subscription.refresh_from_db()


@pytest.mark.parametrize("anchor", ["now", "unchanged"])
@pytest.mark.parametrize("at_once", [False, True])
def test_usage_while_paused_is_never_billed(anchor: str, at_once: bool) -> None:
    used = tokens()
    paused = pause_subscription(used.pk, at=PAUSE + 9 * MICROSECOND, pause=Pause(invoice_at_once=at_once))
    assert (paused.status, paused.paused_at) == ("paused", PAUSE)
    assert slices(used)[:2] == [
        ("regular", JAN, PAUSE, "invoiced" if at_once else None),
        ("paused", PAUSE, FEB, None),
    ]
    assert totals() == ([20] if at_once else [])

    catch_up(used, utc(2026, 2, 10))  # the period in which it was paused is over, and no invoice is made
    assert totals() == ([20] if at_once else [])

    resumed = resume_subscription(used.pk, at=RESUME, resumption=Resumption(anchor))
    end = utc(2026, 3, 15) if anchor == "now" else MAR
    assert (resumed.status, resumed.paused_at) == ("active", None)
    assert resumed.billing_cycle_anchor == (RESUME if anchor == "now" else JAN)
    assert slices(used) == [
        ("regular", JAN, PAUSE, "invoiced" if at_once or anchor == "now" else None),
        ("paused", PAUSE, FEB, "free"),
        ("paused", FEB, RESUME, "free"),
        ("regular", RESUME, end, None),
    ]
    catch_up(used, end)
    assert sum(totals()) == (4 + 2) * 5


@pytest.mark.parametrize("at_once", [False, True])
def test_usage_before_a_pause_can_be_given_up(at_once: bool) -> None:
    used = tokens()
    pause_subscription(used.pk, at=PAUSE, pause=Pause(bill_usage=False, invoice_at_once=at_once))
    assert slices(used)[0] == ("regular", JAN, PAUSE, "discarded")
    resume_subscription(used.pk, at=RESUME)
    catch_up(used, utc(2026, 3, 15))
    assert sum(totals()) == 2 * 5


@pytest.mark.parametrize(
    ("credit_from", "credit"),
    [
        ("now", [(-2100, PAUSE, FEB)]),  # 21 of 31 days
        ("item_current_period_start", [(-3100, JAN, FEB)]),
        ("none", []),
    ],
)
def test_what_is_credited(credit_from: str, credit: list[tuple[int, datetime, datetime]]) -> None:
    paid = seats()
    pause_subscription(paid.pk, at=PAUSE, pause=Pause(credit_from=credit_from))
    assert pending() == credit
    assert totals() == [3100]
    catch_up(paid, FEB)  # what is pending waits as well
    assert totals() == [3100]
    resume_subscription(paid.pk, at=RESUME)
    assert totals() == [3100, 3100 + sum(amount for amount, _, _ in credit)]
    assert Invoice.objects.latest("created_at").status == ("open" if sum(totals()[1:]) else "paid")
    assert pending() == []


def test_a_credit_is_invoiced_at_once_where_asked() -> None:
    paid = seats()
    paused = pause_subscription(paid.pk, at=PAUSE, pause=Pause(invoice_at_once=True))
    invoice = Invoice.objects.get(pk=paused.latest_invoice)
    assert (invoice.total, invoice.billing_reason, pending()) == (-2100, "subscription_update", [])
    line = invoice.lines.get()
    assert (line.description, line.proration) == ("Unused time on Seats after 11 Jan 2026", True)
    assert line.invoice_item is not None
    assert line.invoice_item.credited_lines == [Invoice.objects.get(total=3100).lines.get().pk]


@pytest.mark.parametrize(
    ("resumption", "waiting", "invoiced", "kind"),
    [
        # 14 of February's 28 days are left: 3100 × 14 ÷ 28
        (Resumption("unchanged"), [1550], [3100], "regular"),
        (Resumption("unchanged", "always_invoice"), [], [3100, 1550], "regular"),
        (Resumption("unchanged", "none"), [], [3100], "free"),
        (Resumption("unchanged", "create_prorations", utc(2026, 2, 8)), [2325], [3100], "regular"),
        (Resumption("unchanged", "always_invoice", utc(2026, 2, 8)), [], [3100, 2325], "regular"),
    ],
)
def test_resuming_with_the_old_anchor(
    resumption: Resumption, waiting: list[int], invoiced: list[int], kind: str
) -> None:
    paid = seats()
    pause_subscription(paid.pk, at=PAUSE, pause=Pause(credit_from="none"))
    resume_subscription(paid.pk, at=RESUME, resumption=resumption)
    assert ([amount for amount, _, _ in pending()], totals()) == (waiting, invoiced)
    assert slices(paid)[-1] == (kind, RESUME, MAR, None)
    catch_up(paid, MAR)
    assert totals() == [*invoiced, 3100 + sum(waiting)]


@pytest.mark.parametrize(
    ("resumption", "param"),
    [
        (Resumption("now", proration_date=RESUME), "proration_date"),
        (Resumption("unchanged", proration_date=FEB - MICROSECOND), "proration_date"),
        (Resumption("unchanged", proration_date=MAR), "proration_date"),
    ],
)
def test_a_date_that_is_refused(resumption: Resumption, param: str) -> None:
    paid = seats()
    pause_subscription(paid.pk, at=PAUSE)
    with pytest.raises(InvalidRequest) as refused:
        resume_subscription(paid.pk, at=RESUME, resumption=resumption)
    assert refused.value.param == param
    paid.refresh_from_db()
    assert paid.status == "paused"


def test_both_kinds_of_items_with_intervals_of_their_own() -> None:
    """Paused on 11 January, resumed on 15 February: the weekly item bills 4 units and 2 units, nothing in between."""
    prices = make.price(meter=make.meter(), unit="5", interval="week"), make.price(unit="3100")
    mixed = make.subscribe(make.customer(), *prices)
    for value, at in (("4", PAUSE - MICROSECOND), ("100", PAUSE), ("2", RESUME)):
        make.event(mixed.customer, value=value, at=at)
    pause_subscription(mixed.pk, at=PAUSE)
    catch_up(mixed, utc(2026, 2, 14))
    assert totals() == [3100, 0]  # the first week, before the pause
    resume_subscription(mixed.pk, at=RESUME)
    assert totals() == [3100, 0, 20 + 3100 - 2100]
    catch_up(mixed, RESUME + timedelta(days=7))
    assert totals()[-1] == 10


@pytest.mark.parametrize(("invoice_now", "outcome", "invoiced"), [(False, "discarded", []), (True, "invoiced", [20])])
def test_canceling_while_paused(invoice_now: bool, outcome: str, invoiced: list[int]) -> None:
    used = tokens()
    pause_subscription(used.pk, at=PAUSE)
    ended = cancel_subscription(used.pk, at=RESUME, invoice_now=invoice_now)
    assert (ended.status, ended.paused_at, ended.ended_at) == ("canceled", None, RESUME)
    assert slices(used) == [
        ("regular", JAN, PAUSE, outcome),
        ("paused", PAUSE, FEB, "free"),
        ("paused", FEB, RESUME, "free"),
    ]
    assert totals() == invoiced


@pytest.mark.parametrize(
    ("cancel", "end"),
    [({"cancel_at": RESUME}, RESUME), ({"cancel_at_period_end": True}, FEB), ({"cancel_at": MAR}, MAR)],
)
def test_a_pause_lasts_until_a_known_end(cancel: dict[str, Any], end: datetime) -> None:
    """What was used before the pause is on the last invoice, which does not collect by itself."""
    used = tokens()
    pause_subscription(used.pk, at=PAUSE)
    update_subscription(used.pk, changes={}, cancellation=Cancellation(**cancel), at=PAUSE)
    catch_up(used, APR)
    assert (used.status, used.ended_at, used.paused_at) == ("canceled", end, None)
    invoice = Invoice.objects.get()
    assert (invoice.total, invoice.auto_advance, invoice.period_end) == (20, False, end)


def test_a_pause_before_the_end_that_was_known() -> None:
    used = tokens()
    update_subscription(used.pk, changes={}, cancellation=Cancellation(cancel_at_period_end=True), at=JAN)
    pause_subscription(used.pk, at=PAUSE)
    assert slices(used)[-1] == ("paused", PAUSE, FEB, None)
    catch_up(used, FEB)
    assert (used.status, totals()) == ("canceled", [20])


def test_an_end_with_the_period_goes_with_the_new_anchor() -> None:
    paid = seats()
    update_subscription(paid.pk, changes={}, cancellation=Cancellation(cancel_at_period_end=True), at=JAN)
    pause_subscription(paid.pk, at=PAUSE)
    resumed = resume_subscription(paid.pk, at=PAUSE + timedelta(days=1))
    assert (resumed.cancel_at, resumed.cancel_at_period_end) == (utc(2026, 2, 12), True)
    catch_up(paid, APR)
    assert (paid.status, paid.ended_at) == ("canceled", utc(2026, 2, 12))


def test_a_trial_that_ends_in_a_pause_can_be_resumed() -> None:
    trial = seats(trial=Trial(days=10, missing_payment_method="pause"))
    catch_up(trial, utc(2026, 2, 10))
    assert trial.status == "paused"
    resumed = resume_subscription(trial.pk, at=RESUME)
    assert (resumed.status, resumed.billing_cycle_anchor, totals()) == ("active", RESUME, [0, 3100])
    assert [kind for kind, *_ in slices(trial)] == ["trial", "paused", "paused", "regular"]


def refusals() -> list[tuple[str, dict[str, Any], str]]:
    sent = {"collection_method": "send_invoice", "days_until_due": 30}
    return [
        ("active", {"billing_mode": "classic"}, "billing_mode"),
        ("active", sent, "send_invoice"),
        ("trialing", {}, "trialing"),
        ("incomplete", {}, "incomplete"),
        ("paused", {"paused_at": JAN}, "paused"),
        ("canceled", {"ended_at": JAN}, "canceled"),
    ]


@pytest.mark.parametrize(("status", "fields", "word"), refusals())
def test_what_cannot_be_paused(status: str, fields: dict[str, Any], word: str) -> None:
    row = seats()
    row.pk, row.status = f"sub_{status}", status
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    with pytest.raises(InvalidRequest, match=word):
        pause_subscription(row.pk, at=JAN)


def test_each_only_once() -> None:
    row = seats()
    with pytest.raises(InvalidRequest, match="active"):
        resume_subscription(row.pk, at=PAUSE)
    pause_subscription(row.pk, at=PAUSE)
    with pytest.raises(InvalidRequest, match="paused"):
        pause_subscription(row.pk, at=PAUSE)
    resume_subscription(row.pk, at=RESUME)
    with pytest.raises(InvalidRequest, match="active"):
        resume_subscription(row.pk, at=RESUME)
    with pytest.raises(NotFound):
        pause_subscription("sub_none", at=JAN)
    assert totals() == [3100, 1000]


def test_there_is_no_invoice_to_come_while_it_is_paused() -> None:
    used = tokens()
    pause_subscription(used.pk, at=PAUSE)
    used.refresh_from_db()
    with pytest.raises(NothingUpcoming):
        preview_next(used, at=PAUSE)


def test_paused_and_resumed_at_one_instant() -> None:
    """Nothing is lost and nothing charged twice."""
    paid = seats()
    pause_subscription(paid.pk, at=PAUSE)
    resume_subscription(paid.pk, at=PAUSE, resumption=Resumption("unchanged"))
    assert sum(amount for amount, _, _ in pending()) == 0
    catch_up(paid, FEB)
    assert totals() == [3100, 3100]
    assert close_period(paid.pk, FEB) is None
