"""Grants and their ledger: what each verb books, what is refused, and that the database refuses the rest."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from core.errors import InvalidRequest, ResourceMissing
from credits import ledger
from credits.available import grants_with_balance, payable
from credits.due import EXPIRE
from credits.grants import (
    MOST_UNUSED,
    GrantNotEditable,
    NewGrant,
    book_expiry,
    create_grant,
    expire_grant,
    update_grant,
    void_grant,
)
from credits.ledger import Change
from credits.models import CreditGrant, CreditTransaction, LedgerEntry
from customers.models import Customer
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB = utc(2026, 2, 1)
DAY = timedelta(days=1)
Type = CreditTransaction.Type


@pytest.fixture
def customer() -> Customer:
    return make.customer()


def grant(customer: Customer, amount: int = 1000, **fields: Any) -> CreditGrant:
    return create_grant(customer.pk, NewGrant(amount=Decimal(amount), currency="usd", **fields), at=JAN)


def use(grant: CreditGrant, amount: int, line: str = "il_1") -> None:
    ledger.apply_credits(
        [Change(grant.pk, Type.CREDITS_APPLIED, -Decimal(amount), JAN, invoice="in_1", invoice_line=line)]
    )


def booked(grant: CreditGrant) -> list[tuple[str, int, int]]:
    rows = grant.transactions.order_by("sequence")
    return [(row.type, int(row.amount), int(row.ending_balance)) for row in rows]


def test_a_grant_is_booked_on_two_accounts(customer: Customer) -> None:
    made = grant(customer, 1000)
    assert (made.balance, made.state(JAN)) == (1000, "granted")
    assert booked(made) == [("credits_granted", 1000, 1000)]
    sides = LedgerEntry.objects.filter(transaction__grant=made).values_list("account", "amount")
    assert dict(sides) == {"outstanding": 1000, "granted": -1000}


def test_what_each_verb_books(customer: Customer) -> None:
    used, expired, voided = grant(customer), grant(customer), grant(customer)
    use(used, 300)
    expire_grant(used.pk, at=JAN + DAY)
    expire_grant(expired.pk, at=JAN + DAY)
    void_grant(voided.pk, at=JAN + DAY, reason="granted twice")
    assert booked(used)[1:] == [("credits_applied", -300, 700), ("credits_expired", -700, 0)]
    assert booked(expired)[1:] == [("credits_expired", -1000, 0)]
    assert booked(voided)[1:] == [("credits_voided", -1000, 0)]
    states = [CreditGrant.objects.get(pk=each.pk).state(JAN + DAY) for each in (used, expired, voided)]
    assert states == ["expired", "expired", "voided"]
    assert voided.transactions.get(type=Type.CREDITS_VOIDED).reason == "granted twice"


def test_a_grant_of_which_something_is_applied_cannot_be_voided(customer: Customer) -> None:
    made = grant(customer)
    use(made, 1)
    with pytest.raises(GrantNotEditable, match="applied to an invoice"):
        void_grant(made.pk, at=JAN)
    assert booked(made)[-1] == ("credits_applied", -1, 999)


@pytest.mark.parametrize("end", [expire_grant, void_grant])
@pytest.mark.parametrize("again", [expire_grant, void_grant])
def test_an_ended_grant_is_not_ended_again(
    customer: Customer, end: Callable[..., Any], again: Callable[..., Any]
) -> None:
    made = grant(customer)
    end(made.pk, at=JAN)
    before = booked(made)
    with pytest.raises(GrantNotEditable):
        again(made.pk, at=JAN + DAY)
    with pytest.raises(GrantNotEditable):
        update_grant(made.pk, at=JAN + DAY, changes={"expires_at": None})
    assert booked(made) == before


def test_time_books_the_end_once(customer: Customer) -> None:
    made = grant(customer, expires_at=FEB)
    assert EXPIRE.next_at(None) == FEB
    assert list(EXPIRE.due(FEB - DAY, None, 10)) == []
    assert book_expiry(made.pk, FEB - DAY) is None
    assert list(EXPIRE.due(FEB + DAY, None, 10)) == [made.pk]
    assert book_expiry(made.pk, FEB + DAY) is not None
    assert book_expiry(made.pk, FEB + DAY) is None
    assert booked(made) == [("credits_granted", 1000, 1000), ("credits_expired", -1000, 0)]
    last = made.transactions.latest("sequence")
    assert (last.effective_at, last.created_at) == (FEB, FEB + DAY)


def test_a_later_end_is_the_one_that_counts(customer: Customer) -> None:
    made = grant(customer, expires_at=FEB)
    assert update_grant(made.pk, at=JAN, changes={"expires_at": None}, metadata={"a": "1"}).metadata == {"a": "1"}
    assert book_expiry(made.pk, FEB + DAY) is None
    assert EXPIRE.next_at(None) is None
    with pytest.raises(InvalidRequest, match="future"):
        update_grant(made.pk, at=FEB, changes={"expires_at": FEB})


def test_the_101st_unused_grant_is_refused(customer: Customer) -> None:
    """Voided, expired and used up grants do not count; pending ones do (stripe.md 7.8)."""
    void_grant(grant(customer).pk, at=JAN)
    grant(customer, expires_at=JAN + timedelta(seconds=1))
    used = grant(customer)
    use(used, 1000)
    for _ in range(MOST_UNUSED):
        create_grant(
            customer.pk, NewGrant(amount=Decimal(5), currency="usd", effective_at=FEB), at=JAN + timedelta(seconds=1)
        )
    with pytest.raises(InvalidRequest, match="at most 100 unused"):
        create_grant(customer.pk, NewGrant(amount=Decimal(5), currency="usd"), at=JAN + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("fields", "message", "param"),
    [
        ({"currency": "xxx"}, "Invalid currency", "amount[monetary][currency]"),
        ({"expires_at": JAN}, "in the future", "expires_at"),
        ({"effective_at": FEB, "expires_at": FEB}, "after its `effective_at`", "expires_at"),
        ({"prices": ("price_none",)}, "No such price", "applicability_config[scope][prices][0][id]"),
        ({"currency": "", "meter": "mtr_none"}, "No such meter", "amount[usage][meter]"),
    ],
)
def test_what_is_refused(customer: Customer, fields: dict[str, Any], message: str, param: str) -> None:
    new = NewGrant(**({"amount": Decimal(5), "currency": "usd"} | fields))
    with pytest.raises((InvalidRequest, ResourceMissing), match=message) as refused:
        create_grant(customer.pk, new, at=JAN)
    assert refused.value.param == param
    assert not CreditGrant.objects.exists()


def test_only_prices_with_a_meter_can_be_named(customer: Customer) -> None:
    licensed = make.price(unit="5")
    with pytest.raises(InvalidRequest, match="with a meter only"):
        grant(customer, prices=(licensed.pk,))


def test_order_of_use(customer: Customer) -> None:
    """The five keys, each against the next ones (stripe.md 7.3)."""
    promotional = CreditGrant.Category.PROMOTIONAL
    made = [
        grant(customer, name="priority first", priority=0),
        grant(customer, name="ends first", expires_at=FEB),
        grant(customer, name="promotional first", expires_at=FEB + DAY, category=promotional),
        grant(customer, name="begins first", expires_at=FEB + DAY, effective_at=JAN - DAY),
        grant(customer, name="made first", expires_at=FEB + DAY),
        grant(customer, name="made second", expires_at=FEB + DAY),
        grant(customer, name="never ends", category=promotional, effective_at=JAN - DAY),
        grant(customer, name="priority last", priority=51, expires_at=JAN + DAY, category=promotional),
    ]
    order = list(CreditGrant.objects.filter(pk__in=[each.pk for each in reversed(made)]).in_order_of_use())
    assert [each.name for each in order] == [each.name for each in made]
    assert grants_with_balance([customer.pk])[customer.pk] == made


@pytest.mark.parametrize(
    ("effective_at", "expires_at", "at", "pays"),
    [
        (JAN, None, FEB, True),
        (FEB, None, FEB, True),  # effective at the end of the period itself
        (FEB + DAY, None, FEB + 2 * DAY, False),  # effective after the period, however late the invoice
        (JAN, FEB, FEB, False),  # ended with the period
        (JAN, FEB + DAY, FEB, True),
        (JAN, FEB + DAY, FEB + DAY, False),  # ended while the invoice was a draft
    ],
)
def test_when_a_grant_pays_for_a_period_that_ends_in_february(
    customer: Customer, effective_at: Any, expires_at: Any, at: Any, pays: bool
) -> None:
    made = grant(customer, effective_at=effective_at, expires_at=expires_at)
    assert payable([made], currency="usd", period_end=FEB, at=at) == ([made] if pays else [])
    assert payable([made], currency="eur", period_end=FEB, at=at) == []


# -- what the database says itself


def test_no_more_is_applied_than_was_granted(customer: Customer) -> None:
    made = grant(customer, 100)
    with pytest.raises(IntegrityError, match="credit_transaction_leaves_no_debt"), transaction.atomic():
        use(made, 101)
    use(made, 100)
    with pytest.raises(IntegrityError), transaction.atomic():
        use(made, 1, line="il_2")


def test_a_line_uses_a_grant_once(customer: Customer) -> None:
    made = grant(customer, 100)
    use(made, 10)
    with pytest.raises(IntegrityError, match="credit_transaction_once_a_line"), transaction.atomic():
        use(made, 10)


@pytest.mark.parametrize("table", ["credits_credittransaction", "credits_ledgerentry"])
@pytest.mark.parametrize("change", ["UPDATE {} SET amount = amount", "DELETE FROM {}"])
def test_the_ledger_is_append_only(customer: Customer, table: str, change: str) -> None:
    grant(customer)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            cursor.execute(change.format(table))


def test_a_transaction_with_one_side_is_refused(customer: Customer) -> None:
    made = grant(customer)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    row = {
        "grant": made, "customer": customer, "type": Type.CREDITS_APPLIED, "amount": -5, "ending_balance": 995,
        "sequence": 2, "invoice": "in_1", "invoice_line": "il_1", "effective_at": JAN, "created_at": JAN,
    }  # fmt: skip
    with pytest.raises(IntegrityError, match="do not add up"), transaction.atomic():
        CreditTransaction.objects.create(**row)


def test_sides_that_do_not_sum_to_zero_are_refused(customer: Customer) -> None:
    row = grant(customer).transactions.get()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="do not add up"), transaction.atomic():
        LedgerEntry.objects.create(transaction=row, account="applied", amount=1)


@pytest.mark.parametrize(
    "change",
    [{"balance": 999}, {"amount": 2000}, {"currency": "eur"}, {"customer_id": "cus_other"}, {"priority": 1}],
)
def test_what_a_grant_says_is_fixed(customer: Customer, change: dict[str, Any]) -> None:
    made = grant(customer)
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditGrant.objects.filter(pk=made.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        made.delete()


@pytest.mark.parametrize("change", [{"sequence": 3}, {"ending_balance": 991}, {"amount": Decimal("-10.5")}])
def test_a_row_goes_on_where_the_one_before_it_ended(customer: Customer, change: dict[str, Any]) -> None:
    made = grant(customer)
    row = {
        "grant": made, "customer": customer, "type": Type.CREDITS_APPLIED, "amount": -10, "ending_balance": 990,
        "sequence": 2, "invoice": "in_1", "invoice_line": "il_1", "effective_at": JAN, "created_at": JAN,
    }  # fmt: skip
    with pytest.raises(IntegrityError, match="does not go on"), transaction.atomic():
        CreditTransaction.objects.create(**(row | change))
