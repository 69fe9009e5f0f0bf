"""History cannot be rewritten by the application itself: its own database role is refused, column by column."""

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest
from django.apps import apps
from django.db import IntegrityError, ProgrammingError, connection, models, transaction

from credits.grants import NewGrant, create_grant
from credits.holds import NewHold, create_hold
from credits.models import CreditGrant, CreditHold, CreditTransaction, LedgerEntry
from customers.balance import adjust_balance
from customers.models import Customer, CustomerBalanceTransaction
from invoices.close import close_period
from invoices.credit_note_lines import Asked
from invoices.credit_notes import issue_credit_note
from invoices.finalize import finalize_if_due
from invoices.models import CreditNote, CreditNoteLine, Invoice, InvoiceLine
from invoices.settle import pay_invoice, void_invoice
from meters.models import MeterEvent
from pricing.models import Price, PriceTier
from subscriptions.models import ItemPeriod
from tests import make
from tests.faults.accounts import FEB, HOUR, MAR, catalog, subscribed, with_draft

pytestmark = pytest.mark.django_db(transaction=True)
# What our own triggers raise, and that a privilege is lacking; a constraint in the way has another number.
REFUSED = {"23000", "42501"}

# Some other value, by type.
OTHER = {
    "text": "CASE WHEN {c} = 'x' THEN 'y' ELSE 'x' END",
    "character varying": "CASE WHEN {c} = 'x' THEN 'y' ELSE 'x' END",
    "numeric": "coalesce({c}, 0) + 1",
    "bigint": "coalesce({c}, 0) + 1",
    "integer": "coalesce({c}, 0) + 1",
    "smallint": "coalesce({c}, 0) + 1",
    "boolean": "NOT {c}",
    "timestamp with time zone": "coalesce({c}, now()) + interval '1 second'",
    "jsonb": "jsonb_build_object('changed', {c})",
    "uuid": "gen_random_uuid()",
    "xid8": "'1'::xid8",
    "ARRAY": "{c} || 'x'::varchar",
}
MAY_CHANGE = {
    Invoice: {
        "status",
        "auto_advance",
        "automatically_finalizes_at",
        "latest_revision_id",
        "sent_at",
        "amount_due",
        "amount_paid",
        "pre_payment_credit_notes_amount",
        "post_payment_credit_notes_amount",
        "amount_paid_off_stripe",
        "paid_at",
        "voided_at",
        "marked_uncollectible_at",
        "metadata",
    },
    CreditNote: {"memo", "metadata"},
    CreditGrant: {"expires_at", "settles_at", "voided_at", "metadata", "updated_at"},
    CustomerBalanceTransaction: {"description", "metadata"},
    Price: {"active", "late_usage", "nickname", "lookup_key", "metadata", "tax_behavior"},
}


@pytest.fixture
def history() -> None:
    """A balance, an event, a price with tiers, closed periods, and an invoice in each state after draft."""
    things = catalog()
    account = with_draft(things)
    adjust_balance(account.customer.pk, -500, currency="usd", at=FEB)
    create_grant(account.customer.pk, NewGrant(Decimal(1), currency="usd", effective_at=MAR), at=FEB)
    create_hold(account.customer.pk, NewHold(Decimal(10**9), currency="usd"), at=FEB)  # is declined
    finalize_if_due(account.invoice(status="draft").pk, FEB + HOUR)
    void_invoice(account.invoice(billing_reason="subscription_create").pk, at=FEB)
    paid = pay_invoice(subscribed(things).invoice().pk, at=FEB, paid_out_of_band=True)
    issue_credit_note(paid.pk, Asked(amount=5, out_of_band_amount=5), at=FEB)


def refused(sql: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
            transaction.set_rollback(True)
    except (IntegrityError, ProgrammingError) as error:
        return error.__cause__.sqlstate in REFUSED
    return False


def columns(model: type[models.Model]) -> Iterator[tuple[str, str]]:
    """Each column with an expression for some other value."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s",
            [model._meta.db_table],
        )
        yield from ((name, OTHER[kind].format(c=name)) for name, kind in cursor.fetchall())


HISTORY = [
    (CustomerBalanceTransaction, "true"),
    (CreditGrant, "true"),
    (CreditTransaction, "true"),
    (LedgerEntry, "true"),
    (CreditHold, "status <> 'approved'"),
    (CreditNote, "true"),
    (CreditNoteLine, "true"),
    (MeterEvent, "true"),
    (PriceTier, "true"),
    (Price, "true"),
    (ItemPeriod, "closed_at IS NOT NULL"),
    (Invoice, "status <> 'draft'"),
    (InvoiceLine, "invoice_id IN (SELECT id FROM invoices_invoice WHERE status <> 'draft')"),
]
each_table = pytest.mark.parametrize(("model", "which"), HISTORY, ids=[model.__name__ for model, _ in HISTORY])


def test_every_rule_of_the_models_is_in_the_database():
    """A migration can lose one without a word: whoever drops the index of a field may drop a unique one with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint UNION SELECT indexname FROM pg_indexes")
        there = {name for (name,) in cursor.fetchall()}
    wanted = {rule.name for model in apps.get_models() for rule in (*model._meta.constraints, *model._meta.indexes)}
    assert len(wanted) > 50
    assert wanted - there == set()


def test_the_application_is_an_ordinary_role():
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False)


@each_table
def test_no_column_of_history_changes(model: type[models.Model], which: str, history: None):
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {which}")
        assert cursor.fetchone()[0]
    may = {name for name, to in columns(model) if not refused(f"UPDATE {table} SET {name} = {to} WHERE {which}")}
    assert may <= MAY_CHANGE.get(model, set())


@pytest.mark.parametrize(("model", "which"), [(model, which) for model, which in HISTORY if model is not Price])
def test_history_is_not_deleted(model: type[models.Model], which: str, history: None):
    assert refused(f"DELETE FROM {model._meta.db_table} WHERE {which}")


@pytest.mark.parametrize(
    "model",
    [
        CreditNote,
        CreditNoteLine,
        CreditGrant,
        CreditTransaction,
        LedgerEntry,
        CreditHold,
        CustomerBalanceTransaction,
        MeterEvent,
        PriceTier,
        ItemPeriod,
        Invoice,
        InvoiceLine,
    ],
)
def test_history_is_not_truncated(model: type[models.Model], history: None):
    table = model._meta.db_table
    with transaction.atomic():
        with connection.cursor() as cursor:  # the test database has this trigger switched off, to be emptied
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_no_truncate")
        assert refused(f"TRUNCATE {table} CASCADE")
        transaction.set_rollback(True)


@pytest.mark.parametrize("what", ["UPDATE {} SET value = 2", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("layer", ["privileges", "triggers"])
def test_events_are_kept_by_privileges_and_by_triggers_each_for_itself(what: str, layer: str, history: None):
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tableoid::regclass::text FROM meters_meterevent")
        (part,) = cursor.fetchone()
        for table in ("meters_meterevent", part):
            with transaction.atomic():
                if layer == "privileges":
                    cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
                    cursor.execute(f"REVOKE TRUNCATE ON {table} FROM CURRENT_USER")  # tests may, see conftest.py
                    expected = pytest.raises(ProgrammingError, match="permission denied")
                else:
                    cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
                    cursor.execute(f"GRANT ALL ON {table} TO CURRENT_USER")
                    expected = pytest.raises(IntegrityError, match="append-only")
                with expected, transaction.atomic():
                    cursor.execute(what.format(table))
                transaction.set_rollback(True)


def test_control_a_draft_its_lines_and_an_open_period_do_change():
    """What is refused above is refused for what it is, and not because nothing ever changes."""
    account = subscribed(catalog())
    close_period(account.subscription.pk, FEB)
    draft = "(SELECT id FROM invoices_invoice WHERE status = 'draft')"

    assert not refused(f"UPDATE invoices_invoice SET description = 'x' WHERE id IN {draft}")
    assert not refused(f"UPDATE invoices_invoiceline SET description = 'x' WHERE invoice_id IN {draft}")
    assert not refused(f"DELETE FROM invoices_invoiceline WHERE invoice_id IN {draft}")
    assert not refused("UPDATE subscriptions_itemperiod SET ends_at = ends_at + interval '1 d' WHERE closed_at IS NULL")
    assert Customer.objects.update(name="Grace") == 1


STATES = ("draft", "open", "paid", "void", "uncollectible")
EDGES = {
    ("open", "paid"),
    ("open", "void"),
    ("open", "uncollectible"),
    ("uncollectible", "paid"),
    ("uncollectible", "void"),
}


@pytest.mark.parametrize("state", STATES[1:])
def test_a_finalized_invoice_moves_along_the_machine_only(state: str):
    invoice = subscribed(catalog()).invoice()
    if state != "open":
        Invoice.objects.filter(pk=invoice.pk).update(
            status=state, paid_at=MAR, amount_paid=invoice.amount_due if state == "paid" else 0
        )
    paid = "amount_paid = amount_due, paid_at = now()"
    for other in STATES:
        moved = f"UPDATE invoices_invoice SET status = '{other}', {paid} WHERE id = '{invoice.pk}'"
        assert refused(moved) == (other != state and (state, other) not in EDGES), (state, other)


def lines_to_add() -> tuple[str, str]:
    """A line for each that a finalized invoice has, beside it: its columns, and the query."""
    names = ", ".join(name for name, _ in columns(InvoiceLine) if name not in ("id", "position", "item_period_id"))
    which = "invoice_id IN (SELECT id FROM invoices_invoice WHERE status = 'open')"
    added = f"SELECT id || 'x', 99 + position, NULL::bigint, {names} FROM invoices_invoiceline WHERE {which}"
    return f"id, position, item_period_id, {names}", added


def test_lines_cannot_be_added_to_what_is_final(history: None):
    names, added = lines_to_add()
    assert refused(f"INSERT INTO invoices_invoiceline ({names}) {added}")


def test_lines_cannot_be_copied_into_what_is_final(history: None):
    names, added = lines_to_add()
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY ({added}) TO STDOUT") as out:
            rows = b"".join(bytes(part) for part in out)
        assert rows
        copy = f"COPY invoices_invoiceline ({names}) FROM STDIN"
        frozen = pytest.raises(psycopg.errors.IntegrityError, match="are frozen")
        with frozen, transaction.atomic(), cursor.copy(copy) as into:
            into.write(rows)


def test_an_invoice_whose_lines_do_not_add_up_is_not_finalized():
    account = subscribed(catalog())
    draft = close_period(account.subscription.pk, FEB)
    assert draft
    draft.lines.filter(kind="unit").update(amount=1)

    final = "status = 'open', number = 'X-1', finalized_at = now()"
    assert refused(f"UPDATE invoices_invoice SET {final} WHERE id = '{draft.pk}'")


def test_a_gap_between_periods_is_refused():
    item = subscribed(catalog()).subscription.items.first()
    ItemPeriod.objects.filter(item=item).update(closed_at=FEB, outcome="invoiced")
    columns = "item_id, price_id, kind, is_cut, starts_at, ends_at, bills_at"

    def inserted(start: object) -> str:
        values = f"'{item.pk}', '{item.price_id}', 'regular', false, '{start}', '{MAR}', '{MAR}'"
        return f"INSERT INTO subscriptions_itemperiod ({columns}) VALUES ({values})"

    assert refused(inserted(FEB + HOUR))
    assert not refused(inserted(FEB))


def test_an_event_cannot_be_sent_back_in_time_by_its_own_fields():
    """Who wrote an event, and when, is the database's own word."""
    make.meter("tokens")
    customer = make.customer()
    make.event(customer, at=FEB)
    event = MeterEvent.objects.get()
    assert event.received_at > FEB
    assert int(event.txid) > 0
