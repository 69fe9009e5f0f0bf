"""Invoices go on while their collection is paused: what becomes of them, and until when."""

from datetime import datetime, timedelta

import pytest

from core.errors import InvalidRequest
from core.sweep import sweep
from invoices.close import close_period
from invoices.due import FINALIZE
from invoices.finalize import finalize_if_due, finalize_invoice
from invoices.models import Invoice
from subscriptions.cancel import cancel_subscription
from subscriptions.change import update_subscription
from subscriptions.models import Subscription
from subscriptions.pause_collection import RESUME, Collection, resume_if_due
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

HOUR, FEB, MAR = timedelta(hours=1), utc(2026, 2, 1), utc(2026, 3, 1)


def collect(row: Subscription, behavior: str | None, *, until: datetime | None = None, at: datetime = JAN) -> None:
    update_subscription(row.pk, changes={}, collection=Collection(behavior, until), at=at)
    row.refresh_from_db()


@pytest.fixture
def row() -> Subscription:
    return make.subscribe(make.customer(), make.price(unit="700"))


@pytest.mark.parametrize(
    ("behavior", "status", "when"),
    [
        ("keep_as_draft", "draft", None),
        ("mark_uncollectible", "uncollectible", "marked_uncollectible_at"),
        ("void", "void", "voided_at"),
        (None, "open", None),
    ],
)
@pytest.mark.parametrize("swept", [False, True])
def test_what_becomes_of_an_invoice(
    row: Subscription, behavior: str | None, status: str, when: str | None, swept: bool
) -> None:
    collect(row, behavior)
    draft = close_period(row.pk, FEB)
    assert (row.status, draft.status) == ("active", "draft")
    if swept:
        sweep(FINALIZE, FEB + HOUR)
    else:
        finalize_if_due(draft.pk, FEB + HOUR)
    draft.refresh_from_db()
    assert (draft.status, draft.total, draft.auto_advance) == (status, 700, behavior is None)
    for name in ("marked_uncollectible_at", "voided_at"):
        assert getattr(draft, name) == (FEB + HOUR if name == when else None)
    assert (draft.number is None) == (status == "draft")
    assert finalize_if_due(draft.pk, FEB + 2 * HOUR) is None


def test_a_draft_that_was_kept_is_finalized_by_a_person(row: Subscription) -> None:
    collect(row, "keep_as_draft")
    draft = close_period(row.pk, FEB)
    finalize_if_due(draft.pk, FEB + HOUR)
    assert finalize_invoice(draft.pk, at=FEB + 2 * HOUR).status == "open"


@pytest.mark.parametrize("behavior", ["mark_uncollectible", "void", "keep_as_draft"])
def test_an_invoice_with_nothing_to_pay_is_paid(behavior: str) -> None:
    free = make.subscribe(make.customer(), make.price(unit="0"))
    collect(free, behavior)
    draft = close_period(free.pk, FEB)
    finalize_if_due(draft.pk, FEB + HOUR)
    draft.refresh_from_db()
    assert draft.status == ("draft" if behavior == "keep_as_draft" else "paid")


def test_an_invoice_that_a_cancellation_makes_is_kept_as_well() -> None:
    customer = make.customer()
    used = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="3", at=JAN)
    collect(used, "keep_as_draft")
    cancel_subscription(used.pk, at=JAN + HOUR, invoice_now=True)
    kept = Invoice.objects.get()
    assert (kept.status, kept.total, kept.auto_advance) == ("draft", 15, False)


def test_it_is_collected_again_at_its_time_and_not_before(row: Subscription) -> None:
    until = FEB + HOUR
    collect(row, "void", until=until)
    assert (row.pause_collection, row.pause_collection_resumes_at) == ("void", until)
    draft = close_period(row.pk, FEB)
    assert resume_if_due(row.pk, until - timedelta(microseconds=1)) is None
    assert sweep(RESUME, until) == 1
    assert sweep(RESUME, until) == 0
    row.refresh_from_db()
    assert (row.pause_collection, row.pause_collection_resumes_at) == (None, None)
    assert finalize_if_due(draft.pk, until).status == "open"


def test_a_clock_resumes_before_it_finalizes() -> None:
    """Both at one instant: the invoice is collected."""
    clock = make.clock()
    row = make.subscribe(make.customer(on=clock), make.price(unit="700"))
    collect(row, "void", until=FEB + HOUR)
    make.move(clock, FEB + HOUR)
    row.refresh_from_db()
    assert row.pause_collection is None
    assert [one.status for one in Invoice.objects.order_by("created_at")] == ["open", "open"]


def test_it_can_be_changed_and_taken_back(row: Subscription) -> None:
    collect(row, "void", until=FEB)
    collect(row, "mark_uncollectible")
    assert (row.pause_collection, row.pause_collection_resumes_at) == ("mark_uncollectible", None)
    collect(row, None)
    assert (row.pause_collection, row.pause_collection_resumes_at) == (None, None)


def test_what_is_refused(row: Subscription) -> None:
    for until in (JAN, JAN - HOUR):
        with pytest.raises(InvalidRequest) as refused:
            collect(row, "void", until=until)
        assert refused.value.param == "pause_collection[resumes_at]"
    cancel_subscription(row.pk, at=JAN + HOUR)
    with pytest.raises(InvalidRequest, match="canceled subscription"):
        collect(row, "void", at=JAN + HOUR)
    assert sweep(RESUME, MAR) == 0
