"""Makes, changes and deletes invoice items, as long as they are pending or on a draft."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import transaction

from core.errors import InvalidRequest, NotFound, ParameterMissing, ResourceMissing
from core.money import is_currency
from customers.balance import set_currency
from customers.locks import lock_customer, lock_live_customer
from customers.models import Customer
from invoices.finalize import InvoiceNotEditable
from invoices.item_terms import Wish, price_of, set_item_discounts, set_terms
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from invoices.rebuild import MOST_ITEMS, next_position, rebuild_draft
from pricing.discount_models import Discount
from subscriptions.models import Subscription
from webhooks.events import record, record_many, telling


@dataclass(frozen=True)
class NewItem:
    """An invoice item as asked for. Without a customer it is that of the invoice, or of the subscription."""

    wish: Wish = field(default_factory=dict)
    customer: str | None = None
    currency: str | None = None
    invoice: str | None = None
    subscription: str | None = None


def create_item(new: NewItem, *, at: datetime) -> InvoiceItem:
    """Make an invoice item: pending, or on a draft, whose lines and totals follow.

    Raises ResourceMissing, ParameterMissing, InvoiceNotEditable, InvalidRequest and its kin. Locks the customer.
    """
    with transaction.atomic():
        customer = _lock_customer_of(new)
        at = customer.now(at)
        subscription = _subscription_of(new.subscription, customer)
        invoice = find_draft(new.invoice, customer) if new.invoice else None
        if invoice and subscription and invoice.subscription_id not in (None, subscription.pk):
            raise InvalidRequest("The invoice is of another subscription.", param="subscription")
        currency = _currency(new, invoice, subscription, customer)
        item = InvoiceItem(
            customer=customer,
            subscription=subscription,
            invoice=invoice,
            currency=currency,
            made_on_invoice=invoice is not None,
            created_at=at,
        )
        check_room(item, invoice)
        with telling("invoice.updated", "invoice", [invoice.pk] if invoice else [], at=at):
            make(item, new.wish, at=at)
            if not customer.currency:
                set_currency(customer, currency, at=at)
            if invoice:
                rebuild_draft(invoice)
        return item


def update_item(item_id: str, wish: Wish, *, at: datetime) -> InvoiceItem:
    """Change an invoice item; if it is on a draft, the draft follows.

    Raises NotFound, InvoiceNotEditable, InvalidRequest and its kin. Locks the customer.
    """
    with transaction.atomic():
        item = lock_item(item_id)
        at = item.customer.now(at)
        with telling("invoice.updated", "invoice", [item.invoice.pk] if item.invoice else [], at=at):
            change(item, wish, at=at)
            if item.invoice:
                rebuild_draft(item.invoice)
        return item


def delete_item(item_id: str, *, at: datetime) -> None:
    """Delete an invoice item; if it is on a draft, the draft follows.

    Raises NotFound, InvoiceNotEditable. Locks the customer.
    """
    with transaction.atomic():
        item = lock_item(item_id)
        invoice, at = item.invoice, item.customer.now(at)
        with telling("invoice.updated", "invoice", [invoice.pk] if invoice else [], at=at):
            erase([item], at=at)
            if invoice:
                rebuild_draft(invoice)


def make(item: InvoiceItem, wish: Wish, *, at: datetime) -> None:
    """Store a new item with its terms; the caller holds the lock, and rebuilds its draft."""
    if item.invoice is not None:
        item.added_position = next_position(item.invoice)
    set_terms(item, wish, at=at)
    item.save(force_insert=True)
    set_item_discounts(item, wish, at=at)
    record("invoiceitem.created", "invoiceitem", item, at=at)


def change(item: InvoiceItem, wish: Wish, *, at: datetime) -> None:
    """The same for one that is there."""
    set_terms(item, wish, at=at)
    item.save()
    set_item_discounts(item, wish, at=at)


def erase(items: Sequence[InvoiceItem], *, at: datetime) -> None:
    """Delete items of drafts, or pending ones, with their lines and discounts."""
    ids = [item.pk for item in items]
    record_many("invoiceitem.deleted", "invoiceitem", items, at=at)
    InvoiceLine.objects.filter(invoice_item__in=ids).delete()
    Discount.objects.filter(invoice_item__in=ids, removed_at=None).update(removed_at=at)
    InvoiceItem.objects.filter(pk__in=ids).delete()


def lock_item(item_id: str) -> InvoiceItem:
    """Lock the customer, then the item, which may still be changed, and return it as it is now.

    Raises NotFound, InvoiceNotEditable.
    """
    customer_id = InvoiceItem.objects.filter(pk=item_id).values_list("customer_id", flat=True).first()
    if customer_id is None:
        raise NotFound("invoiceitem", item_id, param="id")
    customer = lock_customer(customer_id)
    item = InvoiceItem.objects.select_for_update(no_key=True, of=("self",)).filter(pk=item_id).first()
    if item is None:
        raise NotFound("invoiceitem", item_id, param="id")
    item.customer = customer
    if item.invoice_id is not None:
        item.invoice = find_draft(item.invoice_id, customer)
    return item


def find_draft(invoice_id: str, customer: Customer) -> Invoice:
    """A draft of a customer whose lock the caller holds. Raises ResourceMissing, InvalidRequest, InvoiceNotEditable."""
    invoice = Invoice.objects.select_for_update(no_key=True, of=("self",)).filter(pk=invoice_id).first()
    if invoice is None:
        raise ResourceMissing("invoice", invoice_id, param="invoice")
    if invoice.customer_id != customer.pk:
        raise InvalidRequest(f"The invoice {invoice_id} is another customer's.", param="invoice")
    if not invoice.is_draft:
        raise InvoiceNotEditable(
            f"The invoice {invoice_id} is {invoice.status}; only the items of a draft can be changed.", param="invoice"
        )
    invoice.customer = customer
    return invoice


def check_room(item: InvoiceItem, invoice: Invoice | None, *, more: int = 1) -> None:
    """Raises InvalidRequest where an invoice, or what waits for the next one, has no room for more items."""
    if invoice is not None:
        beside = InvoiceItem.objects.filter(invoice=invoice)
    else:
        beside = InvoiceItem.objects.pending().filter(
            customer=item.customer, currency=item.currency, subscription=item.subscription
        )
    if beside.count() + more > MOST_ITEMS:
        raise InvalidRequest(f"An invoice can have at most {MOST_ITEMS} invoice items.")


def _lock_customer_of(new: NewItem) -> Customer:
    customer_id = new.customer
    if customer_id is None and new.invoice:
        customer_id = Invoice.objects.filter(pk=new.invoice).values_list("customer_id", flat=True).first()
        if customer_id is None:
            raise ResourceMissing("invoice", new.invoice, param="invoice")
    if customer_id is None and new.subscription:
        found = Subscription.objects.filter(pk=new.subscription)
        customer_id = found.values_list("customer_id", flat=True).first()
        if customer_id is None:
            raise ResourceMissing("subscription", new.subscription, param="subscription")
    if customer_id is None:
        raise ParameterMissing("customer")
    return lock_live_customer(customer_id)


def _subscription_of(subscription_id: str | None, customer: Customer) -> Subscription | None:
    return find_subscription(subscription_id, customer) if subscription_id else None


def find_subscription(subscription_id: str, customer: Customer) -> Subscription:
    """A subscription of the customer that goes on. Raises ResourceMissing, InvalidRequest."""
    subscription = Subscription.objects.filter(pk=subscription_id).first()
    if subscription is None:
        raise ResourceMissing("subscription", subscription_id, param="subscription")
    if subscription.customer_id != customer.pk:
        raise InvalidRequest(
            f"The subscription {subscription_id} does not belong to the customer {customer.pk}.", param="subscription"
        )
    if subscription.status in Subscription.ENDED:
        raise InvalidRequest(f"The subscription {subscription_id} has ended.", param="subscription")
    subscription.customer = customer
    return subscription


def _currency(new: NewItem, invoice: Invoice | None, subscription: Subscription | None, customer: Customer) -> str:
    """That of the invoice or the subscription, which no other may be; else what is asked for, the price's own, the
    customer's, or the installation's."""
    fixed = invoice.currency if invoice else subscription.currency if subscription else None
    wanted = new.currency or (new.wish["new_price"].spec.currency if "new_price" in new.wish else None)
    if wanted and not is_currency(wanted):
        raise InvalidRequest(f"Invalid currency: {wanted}.", param="currency")
    if fixed:
        if wanted and wanted != fixed:
            raise InvalidRequest(
                f"The {'invoice' if invoice else 'subscription'} is in {fixed}, not in {wanted}.", param="currency"
            )
        return fixed
    price = price_of(new.wish)
    return wanted or (price.currency if price else customer.currency or str(settings.DEFAULT_CURRENCY))
