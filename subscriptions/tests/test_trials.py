"""Free trials: what is billed before, in and after one, to the microsecond; how one is added, moved and ended."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from core.errors import BillingError, InvalidRequest, ParametersExclusive
from invoices.biller import InvoiceBiller
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from invoices.preview import NothingUpcoming, preview_next
from subscriptions.cancel import cancel_subscription
from subscriptions.change import Cancellation, update_subscription
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.trials import Trial
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
END = JAN + 14 * DAY
NEXT = utc(2026, 2, 15)


def slices(subscription: Subscription) -> list[tuple[str, datetime, datetime, str | None]]:
    rows = ItemPeriod.objects.filter(item__subscription=subscription).order_by("item__created_at", "item", "starts_at")
    return [(row.kind, row.starts_at, row.ends_at, row.outcome) for row in rows]


def lines(invoice: Invoice | None) -> list[tuple[str, int, str]]:
    assert invoice is not None
    return [(line.kind, line.amount, line.description) for line in invoice.lines.order_by("position")]


def state(subscription: Subscription) -> tuple[str, datetime | None, datetime | None, datetime]:
    subscription.refresh_from_db()
    return subscription.status, subscription.trial_start, subscription.trial_end, subscription.billing_cycle_anchor


def change(subscription: Subscription, *, at: datetime, prorate: bool = True, **trial: Any) -> Subscription:
    update_subscription(
        subscription.pk, changes={}, trial=Trial(**trial), cancellation=Cancellation(prorate=prorate), at=at
    )
    subscription.refresh_from_db()
    return subscription


def both(**fields: Any) -> Subscription:
    """Seats at 20.00 in advance and tokens at 0.05, in a trial of 14 days unless the fields say something else."""
    fields = {"trial": Trial(days=14)} | fields
    prices = make.price(unit="2000", product="Seats"), make.price(meter=make.meter(), unit="5")
    return make.subscribe(make.customer(), *prices, **fields)


def test_a_trial_costs_nothing_and_what_follows_is_billed() -> None:
    """14 days from 1 January: usage in them is free, however close to the end; the anchor is the 15th."""
    trial = both()
    assert state(trial) == ("trialing", JAN, END, END)
    assert slices(trial) == [("trial", JAN, END, None)] * 2
    first = Invoice.objects.get()
    assert (first.billing_reason, first.status, first.total) == ("subscription_create", "paid", 0)
    assert lines(first) == [("trial", 0, "Free trial for 1 × Seats")]
    for at, value in ((JAN, "100"), (END - MICROSECOND, "10"), (END, "3"), (END + MICROSECOND, "4")):
        make.event(trial.customer, value=value, at=at)

    renewal = close_period(trial.pk, END)

    assert state(trial) == ("active", JAN, END, END)
    assert slices(trial) == [("trial", JAN, END, "free"), ("regular", END, NEXT, None)] * 2
    assert renewal is not None
    assert (renewal.billing_reason, renewal.period_start, renewal.period_end) == ("subscription_cycle", JAN, END)
    assert lines(renewal) == [("unit", 2000, "1 × Seats (at $20.00 / month)")]
    usage = close_period(trial.pk, NEXT)
    assert lines(usage)[0] == ("unit", 35, "7 × Tokens (at $0.05 / month)")
    assert InvoiceLine.objects.filter(meter__isnull=False).count() == 1


def test_a_trial_with_usage_only_has_no_invoice_before_its_first_period_ends() -> None:
    trial = make.subscribe(make.customer(), make.price(meter=make.meter(), unit="5"), trial=Trial(days=14))
    make.event(trial.customer, value="9", at=END - MICROSECOND)
    assert close_period(trial.pk, END) is None
    assert (state(trial)[0], trial.latest_invoice) == ("active", None)
    make.event(trial.customer, value="2", at=END)
    InvoiceBiller().bill_due(trial, at=NEXT)
    assert [invoice.total for invoice in Invoice.objects.all()] == [10]


@pytest.mark.parametrize(
    ("start", "end", "ends"),
    [
        (utc(2026, 1, 17), utc(2026, 1, 31), [utc(2026, 2, 28), utc(2026, 3, 31)]),
        (utc(2026, 1, 31), utc(2026, 2, 28), [utc(2026, 3, 28), utc(2026, 4, 28)]),
        (utc(2026, 1, 1), utc(2026, 5, 31, 12), [utc(2026, 6, 30, 12), utc(2026, 7, 31, 12)]),  # longer than a period
        (utc(2024, 2, 1), utc(2024, 2, 29), [utc(2024, 3, 29), utc(2024, 4, 29)]),
    ],
)
def test_the_anchor_is_the_end_of_the_trial(start: datetime, end: datetime, ends: list[datetime]) -> None:
    trial = make.subscribe(make.customer(start), make.price(unit="2000"), at=start, trial=Trial(end=end))
    for at in [end, *ends]:
        close_period(trial.pk, at)
    begins = [start, end, *ends]
    assert [(starts_at, ends_at) for _, starts_at, ends_at, _ in slices(trial)][:-1] == list(pairwise(begins))


def test_an_anchor_of_its_own_makes_a_stub_after_the_trial() -> None:
    """From 15 January to 1 February is 17 of 31 days."""
    trial = make.subscribe(
        make.customer(), make.price(unit="3100"), trial=Trial(days=14), billing_cycle_anchor=utc(2026, 2, 1)
    )
    assert state(trial)[3] == utc(2026, 2, 1)
    renewal = close_period(trial.pk, END)
    assert (renewal.total, slices(trial)[1][1:3]) == (1700, (END, utc(2026, 2, 1)))


@pytest.mark.parametrize(
    ("cancel", "end"),
    [
        ({"cancel_at_period_end": True}, END),
        ({"cancel_at": END}, END),
        ({"cancel_at": JAN + 3 * DAY}, JAN + 3 * DAY),
    ],
)
def test_a_trial_that_is_not_to_go_on_ends_without_a_bill(cancel: dict[str, Any], end: datetime) -> None:
    trial = both(**cancel)
    make.event(trial.customer, value="100", at=JAN + DAY)
    assert (trial.cancel_at, trial.trial_end) == (end, END)
    assert close_period(trial.pk, end) is None
    assert (state(trial)[0], trial.ended_at) == ("canceled", end)
    assert slices(trial) == [("trial", JAN, end, "free")] * 2
    assert Invoice.objects.get().total == 0


def test_a_trial_canceled_while_it_lasts_can_go_on_after_all() -> None:
    trial = make.subscribe(make.customer(), make.price(unit="2000"), trial=Trial(end=JAN + 60 * DAY))
    update_subscription(trial.pk, changes={}, cancellation=Cancellation(cancel_at_period_end=True), at=JAN)
    assert slices(trial) == [("trial", JAN, JAN + 60 * DAY, None)]
    update_subscription(trial.pk, changes={}, cancellation=Cancellation(cancel_at=JAN + DAY), at=JAN)
    assert slices(trial) == [("trial", JAN, JAN + DAY, None)]
    update_subscription(trial.pk, changes={}, cancellation=Cancellation(cancel_at=None), at=JAN)
    assert slices(trial) == [("trial", JAN, JAN + 60 * DAY, None)]


def test_an_end_with_the_period_goes_with_the_end_of_the_trial() -> None:
    trial = both(cancel_at_period_end=True)
    assert change(trial, at=JAN + DAY, end=JAN + 20 * DAY).cancel_at == JAN + 20 * DAY
    assert slices(trial) == [("trial", JAN, JAN + 20 * DAY, None)] * 2
    assert change(trial, at=JAN + 2 * DAY, end="now").cancel_at == utc(2026, 2, 3)
    assert slices(trial)[1] == ("regular", JAN + 2 * DAY, utc(2026, 2, 3), None)
    assert change(trial, at=JAN + 3 * DAY, end=JAN + 40 * DAY).cancel_at == JAN + 40 * DAY
    close_period(trial.pk, JAN + 40 * DAY)
    assert (state(trial)[0], trial.ended_at) == ("canceled", JAN + 40 * DAY)


@pytest.mark.parametrize(("missing", "total"), [("create_invoice", 2000), ("pause", None), ("cancel", None)])
def test_the_invoice_to_come_is_that_after_the_trial(missing: str, total: int | None) -> None:
    trial = both(trial=Trial(days=14, missing_payment_method=missing))
    make.event(trial.customer, value="9", at=JAN)
    if total is None:
        with pytest.raises(NothingUpcoming):
            preview_next(trial, at=JAN)
    else:
        assert preview_next(trial, at=JAN)[0].total == total


@pytest.mark.parametrize("invoice_now", [False, True])
def test_canceling_in_a_trial_bills_nothing(invoice_now: bool) -> None:
    trial = both()
    make.event(trial.customer, value="100", at=JAN)
    cancel_subscription(trial.pk, at=JAN + DAY, invoice_now=invoice_now)
    assert slices(trial) == [("trial", JAN, JAN + DAY, "free")] * 2
    assert [invoice.total for invoice in Invoice.objects.all()] == [0]


@pytest.mark.parametrize(
    ("missing", "sent", "status", "kind"),
    [
        ("create_invoice", False, "active", "regular"),
        ("pause", False, "paused", "paused"),
        ("cancel", False, "canceled", None),
        ("pause", True, "active", "regular"),  # who is sent invoices needs no payment method
        ("cancel", True, "active", "regular"),
    ],
)
@pytest.mark.parametrize("now", [False, True])
def test_what_follows_a_trial(missing: str, sent: bool, status: str, kind: str | None, now: bool) -> None:
    by_invoice = {"collection_method": "send_invoice", "days_until_due": 30} if sent else {}
    trial = both(trial=Trial(days=14, missing_payment_method=missing), **by_invoice)
    at = JAN + 2 * DAY if now else END
    if now:
        change(trial, at=at, end="now")
    else:
        close_period(trial.pk, at)
    assert state(trial) == (status, JAN, at, at)
    assert (trial.ended_at, trial.paused_at) == (at if kind is None else None, at if kind == "paused" else None)
    open_kinds = ItemPeriod.objects.open().filter(item__subscription=trial).values_list("kind", flat=True)
    assert list(open_kinds) == ([] if kind is None else [kind, kind])
    billed = [0, 2000] if status == "active" else [0]
    assert sorted(invoice.total for invoice in Invoice.objects.all()) == billed


def test_a_trial_ended_now_is_followed_by_an_invoice_at_once() -> None:
    trial, at = both(), JAN + 3 * DAY
    make.event(trial.customer, value="100", at=at - MICROSECOND)
    change(trial, at=at + timedelta(microseconds=7), end="now")
    assert state(trial) == ("active", JAN, at, at)
    assert slices(trial) == [("trial", JAN, at, "free"), ("regular", at, utc(2026, 2, 4), None)] * 2
    invoice = Invoice.objects.get(total=2000)
    assert (invoice.billing_reason, invoice.status, invoice.created_at) == ("subscription_update", "open", at)
    assert trial.latest_invoice == invoice.pk
    make.event(trial.customer, value="2", at=at)
    assert sorted(line[1] for line in lines(close_period(trial.pk, utc(2026, 2, 4)))) == [10, 2000]
    assert state(change(trial, at=utc(2026, 2, 5), end="now")) == ("active", JAN, at, at)


def test_the_end_of_a_trial_moves_with_the_anchor() -> None:
    trial = both()
    for until in (JAN + 100 * DAY, JAN + 5 * DAY):
        change(trial, at=JAN + DAY, end=until)
        assert state(trial) == ("trialing", JAN, until, until)
        assert slices(trial) == [("trial", JAN, until, None)] * 2
    assert Invoice.objects.count() == 1
    assert close_period(trial.pk, JAN + 5 * DAY).total == 2000


@pytest.mark.parametrize(
    ("mode", "prorate", "credit", "words", "first"),
    [
        # 21 of January's 31 days are left: 2000 × 21 ÷ 31 = 1354.8
        ("flexible", True, -1355, ["Free trial for 1 × Seats"], JAN + 10 * DAY),
        ("flexible", False, 0, ["Free trial for 1 × Seats"], JAN + 10 * DAY),
        ("classic", True, -1355, ["Tokens (Free trial)", "1 × Seats (Free trial)"], JAN - DAY),
    ],
)
def test_a_trial_added_to_a_running_subscription(
    mode: str, prorate: bool, credit: int, words: list[str], first: datetime
) -> None:
    """Usage until then is billed, what was paid in advance is credited, and the anchor moves."""
    running, at, until = both(trial=Trial()), JAN + 10 * DAY, JAN + 20 * DAY
    Subscription.objects.filter(pk=running.pk).update(
        billing_mode=mode, trial_start=JAN - DAY, trial_end=JAN - DAY
    )  # it has had one
    make.event(running.customer, value="4", at=at - MICROSECOND)
    make.event(running.customer, value="100", at=at)

    change(running, at=at, end=until, prorate=prorate)

    assert state(running) == ("trialing", first, until, until)
    invoice = Invoice.objects.get(billing_reason="subscription_update")
    found = lines(invoice)
    assert sum(amount for kind, amount, _ in found if kind == "item") == credit
    assert [amount for kind, amount, _ in found if kind == "unit"] == [20]
    assert sorted(text for kind, _, text in found if kind == "trial") == sorted(words)
    assert invoice.total == 20 + credit
    assert InvoiceItem.objects.filter(invoice=None).count() == 0
    assert close_period(running.pk, until).total == 2000
    assert state(running)[0] == "active"


@pytest.mark.parametrize(
    ("trial", "kind", "param"),
    [
        (Trial(end=JAN), InvalidRequest, "trial_end"),
        (Trial(end=JAN - DAY), InvalidRequest, "trial_end"),
        (Trial(end=JAN + timedelta(days=730, seconds=1)), InvalidRequest, "trial_end"),
        (Trial(days=731), InvalidRequest, "trial_period_days"),
        (Trial(end=END, days=14), ParametersExclusive, "trial_period_days"),
    ],
)
def test_what_is_refused(trial: Trial, kind: type[BillingError], param: str) -> None:
    with pytest.raises(kind) as refused:
        both(trial=trial)
    assert refused.value.param == param
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("trial", [Trial(end=JAN + 730 * DAY), Trial(days=730), Trial(end="now"), Trial()])
def test_what_is_just_allowed(trial: Trial) -> None:
    wanted = None if trial.end in (None, "now") and not trial.days else JAN + 730 * DAY
    assert both(trial=trial).trial_end == wanted


def test_an_anchor_within_the_trial_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        both(billing_cycle_anchor=JAN + 3 * DAY)
    assert refused.value.param == "billing_cycle_anchor"


def test_who_has_ended_or_is_paused_gets_no_trial() -> None:
    ended = both()
    cancel_subscription(ended.pk, at=JAN + DAY)
    with pytest.raises(InvalidRequest, match="canceled subscription"):
        change(ended, at=JAN + DAY, end=END)
    paused = make.subscribe(
        make.customer(), make.price(unit="2000"), trial=Trial(days=14, missing_payment_method="pause")
    )
    close_period(paused.pk, END)
    with pytest.raises(InvalidRequest, match="paused"):
        change(paused, at=END, end=NEXT)


def test_a_late_worker_bills_the_same() -> None:
    """Closed three months late: the trial, and each period after it, as if it had been on time."""
    trial = both()
    make.event(trial.customer, value="10", at=END - MICROSECOND)
    make.event(trial.customer, value="3", at=END)
    update_subscription(trial.pk, changes={"description": "x"}, at=utc(2026, 3, 20))
    trial.refresh_from_db()
    assert trial.status == "active"
    cycles = Invoice.objects.filter(billing_reason="subscription_cycle").order_by("period_end")
    assert [(one.period_end, one.total) for one in cycles] == [(END, 2000), (NEXT, 2015), (utc(2026, 3, 15), 2000)]
    for one in cycles:
        assert finalize_invoice(one.pk, at=utc(2026, 3, 21)).total == one.total
