"""Deliberately wrong variants of our verbs. The harness must catch each of them, or it catches nothing."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from unittest.mock import patch

from django.core.management import call_command
from django.db import connection, transaction

from customers.models import Customer
from invoices import close, finalize
from invoices.credit_note_draft import draft_note, note_number
from invoices.credit_note_lines import Asked
from invoices.models import CreditNote, CreditNoteLine, Invoice
from subscriptions.models import ItemPeriod, Subscription


@contextlib.contextmanager
def no_locks() -> Iterator[None]:
    """Verbs read what they would lock, and lock nothing."""

    def subscriptions(ids: list[str], skip_locked: bool = False) -> list[Subscription]:
        return list(Subscription.objects.select_related("customer__test_clock").filter(pk__in=ids))

    def invoice(id: str) -> Invoice:
        return Invoice.objects.select_related("customer__test_clock").get(pk=id)

    with patch.object(close, "lock_subscriptions", subscriptions), patch.object(finalize, "lock_invoice", invoice):
        yield


def close_in_two_transactions(subscription_id: str, at: datetime) -> Invoice | None:
    """`close_period`, but the periods are closed in one transaction and the invoice is drafted in another."""
    with transaction.atomic():
        closings = close.find_closings(close.lock_subscriptions([subscription_id]), at)
        if not closings:
            return None
        close.close_slices(closings[0].ended, at=at, outcome=ItemPeriod.Outcome.INVOICED)
        close.open_next(closings)
    with transaction.atomic():
        return close.draft(closings, at)[0]


def close_many_twice(subscription_ids: list[str], at: datetime) -> set[str]:
    """`close_many`, but what was closed is drafted again, as by a worker that does not look."""
    with transaction.atomic():
        closings = close.find_closings(close.lock_subscriptions(subscription_ids), at)
        close.close(closings, at)
        close.draft(closings, at)
        return {closing.subscription.pk for closing in closings}


def finalize_locking_late(invoice_id: str, at: datetime) -> Invoice | None:
    """`finalize_if_due`, but the customer is read first and locked second."""
    with transaction.atomic():
        invoice = Invoice.objects.select_related("customer__test_clock").get(pk=invoice_id)
        Customer.objects.select_for_update(no_key=True).get(pk=invoice.customer_id)
        if not Invoice.objects.to_finalize(at).filter(pk=invoice.pk).exists():
            return None
        return finalize.finalize_draft(invoice, at=at)


def credit_locking_late(invoice_id: str, asked: Asked, *, at: datetime) -> CreditNote:
    """`issue_credit_note`, but what is left is looked at first and locked second."""
    with transaction.atomic():
        looked_at = Invoice.objects.select_related("customer__test_clock").get(pk=invoice_id)
        drafted = draft_note(looked_at, asked, at=at)
        invoice = finalize.lock_invoice(invoice_id)
        note = drafted.note
        note.sequence = invoice.credit_notes.count() + 1
        note.number = note_number(invoice, note.sequence)
        note.save(force_insert=True)
        CreditNoteLine.objects.bulk_create(drafted.lines)
        invoice.post_payment_credit_notes_amount += note.post_payment_amount
        invoice.save(update_fields=["post_payment_credit_notes_amount"])
        return note


@contextlib.contextmanager
def without_rules(**tables: list[str]) -> Iterator[None]:
    """Take constraints, unique indexes and triggers away (by table); afterwards all data go and the rules return."""
    restore: list[str] = []
    for table, names in tables.items():
        for name in names:
            drop, create = _definition(table, name)
            _execute(drop)
            restore.insert(0, create)
    try:
        yield
    finally:
        call_command("flush", verbosity=0, interactive=False)
        for create in restore:
            _execute(create)


def _definition(table: str, name: str) -> tuple[str, str]:
    """How to drop a rule, and how to make it again."""
    found = _one(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND conname = %s AND contype <> 't'",
        table,
        name,
    )
    if found:
        return f"ALTER TABLE {table} DROP CONSTRAINT {name}", f"ALTER TABLE {table} ADD CONSTRAINT {name} {found}"
    if found := _one("SELECT indexdef FROM pg_indexes WHERE tablename = %s AND indexname = %s", table, name):
        return f"DROP INDEX {name}", found
    found = _one(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s", table, name
    )
    assert found, f"{table} has no rule {name}"
    return f"DROP TRIGGER {name} ON {table}", found


def _one(sql: str, *params: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
        return row and row[0]


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
