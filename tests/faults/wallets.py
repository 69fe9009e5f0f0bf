"""What the fault tests of credits break: a customer with a grant, and drafts that want more than there is of it.

Beside it the verbs as they must not be: they read what they would lock, or read first and lock second.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from django.db import transaction

from core.errors import BillingError
from credits import grants
from credits.grants import NewGrant, create_grant
from credits.models import CreditGrant, CreditTransaction
from customers.locks import lock_customer
from customers.models import Customer
from invoices import finalize, settle
from invoices.close import close_period
from invoices.models import Invoice
from pricing.models import Price
from tests import make
from tests.faults.accounts import FEB, HOUR
from tests.make import JAN


@dataclass(frozen=True)
class Wallet:
    customer: Customer
    grant: CreditGrant
    drafts: tuple[str, ...]

    def rows(self) -> list[tuple[str, int, int]]:
        """The ledger of the grant: type, amount, what is left."""
        found = CreditTransaction.objects.filter(grant=self.grant).order_by("sequence")
        return [(row.type, int(row.amount), int(row.ending_balance)) for row in found]

    def invoices(self) -> list[tuple[str, int, int]]:
        found = Invoice.objects.filter(pk__in=self.drafts).order_by("credit_total", "pk")
        return [(invoice.status, invoice.credit_total, invoice.total) for invoice in found]


def calls() -> Price:
    return make.price(meter=make.meter("calls"), unit="5")


def wallet(price: Price, *, granted: int = 700, drafts: int = 2) -> Wallet:
    """Drafts of 500 each, and 700 of credits."""
    customer = make.customer()
    grant = create_grant(customer.pk, NewGrant(amount=Decimal(granted), currency="usd"), at=JAN)
    subscriptions = [make.subscribe(customer, price) for _ in range(drafts)]
    make.event(customer, name="calls", value="100", at=JAN + HOUR)
    closed = [close_period(subscription.pk, FEB) for subscription in subscriptions]
    return Wallet(customer, grant, tuple(invoice.pk for invoice in closed if invoice))


@contextlib.contextmanager
def no_locks() -> Iterator[None]:
    """Verbs read the invoice, or the grant, that they would lock with its customer."""

    def invoice(id: str) -> Invoice:
        return Invoice.objects.select_related("customer__test_clock").get(pk=id)

    def grant(id: str) -> CreditGrant:
        return CreditGrant.objects.select_related("customer__test_clock").get(pk=id)

    with (
        patch.object(finalize, "lock_invoice", invoice),
        patch.object(settle, "lock_invoice", invoice),
        patch.object(grants, "lock_grant", grant),
    ):
        yield


def finalize_locking_late(invoice_id: str, at: datetime) -> Any:
    """`finalize_if_due`, but what the invoice would use is computed first and the customer locked second."""
    with transaction.atomic():
        invoice = Invoice.objects.select_related("customer__test_clock").get(pk=invoice_id)
        computed = finalize.compute_drafts([invoice], at)
        invoice.customer = lock_customer(invoice.customer_id)
        with patch.object(finalize, "compute_drafts", lambda some, at: computed):
            return finalize.finalize_draft(invoice, at=at)


def void_grant_locking_late(grant_id: str, at: datetime) -> Any:
    """`void_grant`, but what is left, and whether something is applied, is read first and locked second."""
    return _late(grants.void_grant, grant_id, at)


def expire_grant_locking_late(grant_id: str, at: datetime) -> Any:
    return _late(grants.expire_grant, grant_id, at)


def _late(verb: Any, grant_id: str, at: datetime) -> Any:
    with transaction.atomic():
        grant = CreditGrant.objects.select_related("customer__test_clock").get(pk=grant_id)
        used = grant.transactions.filter(type=CreditTransaction.Type.CREDITS_APPLIED).exists()
        if used and verb is grants.void_grant:
            raise BillingError("applied")
        lock_customer(grant.customer_id)
        kind = CreditTransaction.Type.CREDITS_VOIDED
        if verb is grants.expire_grant:
            kind, grant.expires_at = CreditTransaction.Type.CREDITS_EXPIRED, at
        else:
            grant.voided_at = at
        grants.ledger.write([grants.Change(grant.pk, kind, -grant.balance, at)])
        grant.save(update_fields=["expires_at", "voided_at"])
        return grant


def void_invoice_locking_late(invoice_id: str, at: datetime) -> Any:
    """`void_invoice`, but its status, and what it had used, are read first and locked second."""
    with transaction.atomic():
        invoice = Invoice.objects.select_related("customer__test_clock").get(pk=invoice_id)
        if invoice.status != Invoice.Status.OPEN:
            raise BillingError("not open")
        used = list(CreditTransaction.objects.filter(invoice=invoice_id, type=CreditTransaction.Type.CREDITS_APPLIED))
        lock_customer(invoice.customer_id)
        back = CreditTransaction.Type.CREDITS_APPLICATION_INVOICE_VOIDED
        grants.ledger.write(
            [
                grants.Change(row.grant_id, back, row.size, at, invoice=row.invoice, invoice_line=row.invoice_line)
                for row in used
            ]
        )
        Invoice.objects.filter(pk=invoice_id).update(status="void", voided_at=at, auto_advance=False)
        return invoice
