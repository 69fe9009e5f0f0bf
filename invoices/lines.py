"""Adds lines to a draft, changes them and takes them away; each of these lines is an invoice item.

Lines of subscription items cannot be changed here: they are written anew, from the usage and the price, until the
invoice is final, so that what somebody wrote on one would be lost.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction

from api.metadata import Given, merge
from core.errors import BillingError, InvalidRequest, NotFound, ResourceMissing
from invoices.finalize import InvoiceNotEditable, lock_invoice
from invoices.item_terms import Wish
from invoices.items import change, check_room, erase, make
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from invoices.rebuild import next_position, rebuild_draft
from webhooks.events import telling


def add_lines(invoice_id: str, lines: Sequence[Wish], *, at: datetime, metadata: Given = None) -> Invoice:
    """Add lines to a draft, each of a new invoice item or of a pending one that its wish names as `invoice_item`.

    Raises NotFound, InvoiceNotEditable, ResourceMissing, InvalidRequest and its kin. Locks the customer.
    """
    with transaction.atomic(), _draft(invoice_id, at) as (invoice, at):
        for number, wish in enumerate(lines):
            with _within(number):
                _add(invoice, wish, at)
        return _rebuild(invoice, metadata)


def update_lines(
    invoice_id: str, lines: Sequence[tuple[str, Wish]], *, at: datetime, metadata: Given = None
) -> Invoice:
    """Change lines of a draft, named by their ids. Raises the same; also where a line is no invoice item's."""
    with transaction.atomic(), _draft(invoice_id, at) as (invoice, at):
        for number, (line_id, wish) in enumerate(lines):
            with _within(number):
                change(_item_of(invoice, line_id, param="id"), wish, at=at)
        return _rebuild(invoice, metadata)


def update_line(invoice_id: str, line_id: str, wish: Wish, *, at: datetime) -> InvoiceLine:
    """The same for one line. Raises the same."""
    with transaction.atomic(), _draft(invoice_id, at) as (invoice, at):
        try:
            item = _item_of(invoice, line_id, param="line_item_id")
        except ResourceMissing as error:
            raise NotFound("line item", line_id, param="id") from error
        change(item, wish, at=at)
        _rebuild(invoice, None)
        return InvoiceLine.objects.get(invoice=invoice, invoice_item=item)


def remove_lines(
    invoice_id: str, lines: Sequence[tuple[str, bool]], *, at: datetime, metadata: Given = None
) -> Invoice:
    """Take lines from a draft; the invoice item of each is deleted or, where the second is false, waits again.

    Raises the same.
    """
    with transaction.atomic(), _draft(invoice_id, at) as (invoice, at):
        for number, (line_id, is_deleted) in enumerate(lines):
            with _within(number):
                item = _item_of(invoice, line_id, param="id")
                if is_deleted:
                    erase([item], at=at)
                else:
                    _unassign(item)
        return _rebuild(invoice, metadata)


@contextmanager
def _draft(invoice_id: str, at: datetime) -> Iterator[tuple[Invoice, datetime]]:
    """The draft, locked, and the customer's time; what becomes of it is recorded."""
    invoice = lock_invoice(invoice_id)
    if not invoice.is_draft:
        raise InvoiceNotEditable(f"This invoice is {invoice.status}; only the lines of a draft can be changed.")
    now = invoice.customer.now(at)
    with telling("invoice.updated", "invoice", [invoice_id], at=now):
        yield invoice, now


def _rebuild(invoice: Invoice, metadata: Given) -> Invoice:
    if metadata is not None:
        invoice.metadata = merge(invoice.metadata, metadata)
        invoice.save(update_fields=["metadata"])
    return rebuild_draft(invoice)


def _add(invoice: Invoice, wish: Wish, at: datetime) -> None:
    pending = wish.get("invoice_item")
    wish = {name: value for name, value in wish.items() if name != "invoice_item"}
    if pending is None:
        item = InvoiceItem(
            customer=invoice.customer,
            invoice=invoice,
            currency=invoice.currency,
            made_on_invoice=True,
            created_at=at,
        )
        check_room(item, invoice)
        make(item, wish, at=at)
        return
    item = _waiting(invoice, pending)
    check_room(item, invoice)
    item.invoice, item.added_position = invoice, next_position(invoice)
    change(item, wish, at=at)


def _waiting(invoice: Invoice, item_id: str) -> InvoiceItem:
    item = InvoiceItem.objects.filter(pk=item_id, customer=invoice.customer_id).first()
    if item is None:
        raise ResourceMissing("invoiceitem", item_id, param="invoice_item")
    if item.invoice_id is not None:
        raise InvalidRequest(f"The invoice item {item_id} is on an invoice already.", param="invoice_item")
    if item.currency != invoice.currency:
        raise InvalidRequest(
            f"The invoice item is in {item.currency}, and the invoice in {invoice.currency}.", param="invoice_item"
        )
    item.customer = invoice.customer
    return item


def _item_of(invoice: Invoice, line_id: str, *, param: str) -> InvoiceItem:
    line = InvoiceLine.objects.select_related("invoice_item").filter(invoice=invoice, pk=line_id).first()
    if line is None:
        raise ResourceMissing("line item", line_id, param=param)
    if line.invoice_item is None:
        raise InvalidRequest(
            "This line is of a subscription item. It is written anew from usage and price until the invoice is final, "
            "so it cannot be changed here: change the subscription, or add a line.",
            param=param,
        )
    line.invoice_item.customer, line.invoice_item.invoice = invoice.customer, invoice
    return line.invoice_item


def _unassign(item: InvoiceItem) -> None:
    check_room(item, None)
    InvoiceLine.objects.filter(invoice_item=item).delete()
    item.invoice, item.added_position, item.made_on_invoice = None, None, False
    item.save(update_fields=["invoice", "added_position", "made_on_invoice"])


@contextmanager
def _within(number: int) -> Iterator[None]:
    """A parameter that is wrong is one of this line."""
    try:
        yield
    except BillingError as error:
        name, bracket, rest = (error.param or "").partition("[")
        error.param = f"lines[{number}]" + (f"[{name}]{bracket}{rest}" if name else "")
        raise
