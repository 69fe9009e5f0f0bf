"""Drafts made by hand: an invoice that no subscription calls for, its change, and its deletion."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, ParameterMissing, ParametersExclusive
from core.money import is_currency
from customers.balance import set_currency
from customers.locks import lock_live_customer
from customers.models import Customer
from invoices.finalize import InvoiceNotEditable, lock_invoice
from invoices.gather import Wanted, gather, pending_items
from invoices.items import erase, find_subscription
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from invoices.numbering import check_number
from invoices.rebuild import MOST_ITEMS, rebuild_draft
from invoices.told import tell
from invoices.write import computed_invoice, insert_invoices, new_invoice
from pricing.discount_models import Discount
from pricing.discounts import Owner, set_discounts
from pricing.redeem import Sale, Wish
from pricing.tax_rates import find_tax_rates
from subscriptions.models import Subscription
from webhooks.events import telling

SEND = Subscription.CollectionMethod.SEND_INVOICE
FARTHEST = timedelta(days=5 * 365 + 1)  # five years, as Stripe allows
# On a draft everything, later only what the frozen part of the invoice does not hold.
CHANGEABLE_AFTER_DRAFT = {"auto_advance"}
INHERIT: None = None  # discounts: those of the subscription, or else of the customer
NOT_IN_DESCRIPTOR = set("<>\\'\"*")


@dataclass(frozen=True)
class NewInvoice:
    """An invoice as asked for. `changes`: what `update_invoice` takes."""

    customer: str
    subscription: str | None = None
    currency: str | None = None
    include_pending: bool = False
    changes: dict[str, Any] = field(default_factory=dict)
    metadata: Given = None
    discounts: Sequence[Wish] | None = INHERIT


def create_invoice(new: NewInvoice, *, at: datetime) -> Invoice:
    """Make a draft, with the pending items of the customer (or of one of its subscriptions) if asked for.

    No usage is billed, and no period of a subscription ends.
    Raises ResourceMissing, InvalidRequest and its kin. Locks the customer.
    """
    with transaction.atomic():
        customer = lock_live_customer(new.customer)
        at = customer.now(at)
        subscription = find_subscription(new.subscription, customer) if new.subscription else None
        invoice = _blank(customer, subscription, _currency(new, subscription, customer), at)
        _apply(invoice, new.changes, at=at)
        invoice.metadata = merge({}, new.metadata)
        _place_discounts(invoice, new.discounts, at=at)
        items = _pending(invoice) if new.include_pending else []
        (content,) = gather([Wanted(customer, at, subscription, items=items, invoice=invoice)])
        insert_invoices([computed_invoice(invoice, content)])
        if not customer.currency:
            set_currency(customer, invoice.currency, at=at)
        return invoice


def update_invoice(
    invoice_id: str,
    *,
    changes: dict[str, Any],
    at: datetime,
    metadata: Given = None,
    discounts: Sequence[Wish] | None = None,
) -> Invoice:
    """Set fields of a draft, of a finalized invoice only auto_advance; merge `metadata` in.

    `discounts`: None leaves them, an empty list takes them away.
    Raises NotFound; InvoiceNotEditable; InvalidRequest and its kin. Locks the customer.
    """
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        wanted = {*changes} | ({"discounts"} if discounts is not None else set())
        if fixed := set() if invoice.is_draft else wanted - CHANGEABLE_AFTER_DRAFT:
            raise InvoiceNotEditable(
                f"Finalized invoices can't be updated in this way: {', '.join(sorted(fixed))}.",
                param=min(fixed),
            )
        at = invoice.customer.now(at)
        with telling("invoice.updated", "invoice", [invoice_id], at=at):
            _apply(invoice, changes, at=at)
            invoice.metadata = merge(invoice.metadata, metadata)
            _place_discounts(invoice, discounts, at=at)
            invoice.save()
            return rebuild_draft(invoice) if wanted & {"discounts", "default_tax_rates"} else invoice


def delete_invoice(invoice_id: str, *, at: datetime) -> None:
    """Delete a draft that is not a subscription's. Items that were made for it go with it; the others wait again.

    Raises NotFound, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        if not invoice.is_draft:
            raise InvoiceNotEditable(
                f"You can only delete draft invoices. This invoice is {invoice.status}: void it instead."
            )
        if invoice.subscription_id is not None and invoice.from_invoice_id is None:
            raise InvalidRequest("You can't delete invoices of subscriptions. Finalize it, and void it then.")
        at = invoice.customer.now(at)
        tell("deleted", invoice, at=at)
        InvoiceLine.objects.filter(invoice=invoice).delete()
        erase(list(InvoiceItem.objects.filter(invoice=invoice, made_on_invoice=True)), at=at)
        InvoiceItem.objects.filter(invoice=invoice).update(invoice=None, added_position=None)
        Discount.objects.filter(invoice=invoice.pk, removed_at=None).update(removed_at=at)
        invoice.delete()


def _blank(customer: Customer, subscription: Subscription | None, currency: str, at: datetime) -> Invoice:
    fields = {} if subscription else {"collection_method": Subscription.CollectionMethod.CHARGE_AUTOMATICALLY}
    return new_invoice(
        customer,
        subscription,
        Invoice.BillingReason.MANUAL,
        at=at,
        currency=currency,
        period_start=at,
        period_end=at,
        auto_advance=False,
        **fields,
    )


def _currency(new: NewInvoice, subscription: Subscription | None, customer: Customer) -> str:
    wanted = new.currency
    if wanted and not is_currency(wanted):
        raise InvalidRequest(f"Invalid currency: {wanted}.", param="currency")
    if subscription and wanted and wanted != subscription.currency:
        raise InvalidRequest(f"The subscription is in {subscription.currency}, not in {wanted}.", param="currency")
    return wanted or (subscription.currency if subscription else customer.currency or str(settings.DEFAULT_CURRENCY))


def _pending(invoice: Invoice) -> list[InvoiceItem]:
    """The items that wait and fit, the oldest if there are too many, newest first."""
    waiting = pending_items([invoice.customer])[invoice.customer_id]
    fitting = [
        item
        for item in waiting
        if item.currency == invoice.currency and invoice.subscription_id in (None, item.subscription_id)
    ]
    return fitting[-MOST_ITEMS:]


def _apply(invoice: Invoice, changes: dict[str, Any], *, at: datetime) -> None:
    """Set what is asked for, checked, not stored. `days_until_due` becomes a date."""
    changes = dict(changes)
    _set_due(invoice, changes, at)
    if "default_tax_rates" in changes:
        ids = changes["default_tax_rates"] or []
        find_tax_rates(ids, param="default_tax_rates", kept=invoice.default_tax_rates)
        changes["default_tax_rates"] = ids
    if "number" in changes:
        check_number(invoice, changes["number"])
    if "statement_descriptor" in changes:
        _check_descriptor(changes["statement_descriptor"])
    _set_advance(invoice, changes, at)
    for name, value in changes.items():
        setattr(invoice, name, value)


def _set_due(invoice: Invoice, changes: dict[str, Any], at: datetime) -> None:
    if "days_until_due" in changes and "due_date" in changes:
        raise ParametersExclusive(
            "You may only specify one of these parameters: days_until_due, due_date.", param="due_date"
        )
    given = next((name for name in ("days_until_due", "due_date") if name in changes), None)
    method = changes.get("collection_method", invoice.collection_method)
    if method != SEND:
        if given and changes[given] is not None:
            raise InvalidRequest(f"{given} can only be set when collection_method is send_invoice.", param=given)
        changes["due_date"] = None
        changes.pop("days_until_due", None)
        return
    if "days_until_due" in changes:
        changes["due_date"] = invoice.created_at + timedelta(days=changes.pop("days_until_due"))
    elif given and changes["due_date"] is not None and changes["due_date"] <= at:
        raise InvalidRequest("due_date must be in the future.", param="due_date")
    if changes.get("due_date", invoice.due_date) is None:
        raise ParameterMissing("days_until_due", "An invoice that is sent needs days_until_due or due_date.")


def _set_advance(invoice: Invoice, changes: dict[str, Any], at: datetime) -> None:
    """A draft finalizes by itself at its time, which alone turns that on; without one after the customer's grace."""
    if not invoice.is_draft:
        return
    when = changes.get("automatically_finalizes_at")
    if when is not None:
        if not at < when <= at + FARTHEST:
            raise InvalidRequest(
                "automatically_finalizes_at must be in the future, and within five years.",
                param="automatically_finalizes_at",
            )
        if changes.setdefault("auto_advance", True) is False:
            raise InvalidRequest(
                "A draft that does not advance by itself has no time at which it would.",
                param="automatically_finalizes_at",
            )
    if changes.get("auto_advance", invoice.auto_advance):
        kept = changes.get("automatically_finalizes_at", invoice.automatically_finalizes_at)
        changes["automatically_finalizes_at"] = kept or at + invoice.customer.invoice_grace


def _check_descriptor(text: str) -> None:
    if text and (not any(letter.isalpha() for letter in text) or NOT_IN_DESCRIPTOR & set(text)):
        raise InvalidRequest(
            "A statement descriptor has at least one letter, and none of < > \\ ' \" *.", param="statement_descriptor"
        )


def _place_discounts(invoice: Invoice, wishes: Sequence[Wish] | None, *, at: datetime) -> None:
    if wishes is None:
        return
    above = (invoice.subscription_id, invoice.customer_id)
    placed = set_discounts(
        Owner(invoice.customer_id, "invoice", invoice.pk),
        wishes,
        sale=Sale(currency=invoice.currency),
        at=at,
        ancestors=[owner for owner in above if owner],
    )
    invoice.discounts = [one.pk for one in placed]
