"""Makes the revision of a final invoice: a draft with copies of its lines, which takes its place once it is final."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from api.metadata import Given
from core.errors import InvalidRequest, NotFound, ResourceMissing
from invoices.drafts import update_invoice
from invoices.finalize import lock_invoice
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from invoices.rebuild import rebuild_draft
from invoices.told import tell
from invoices.write import new_invoice
from pricing.discount_models import Discount
from pricing.redeem import Wish
from webhooks.events import silence

COPIED = (
    "currency", "collection_method", "due_date", "period_start", "period_end", "description", "footer",
    "custom_fields", "metadata", "default_tax_rates", "statement_descriptor", "subscription_metadata",
    "subscription_proration_date",
)  # fmt: skip
COPIED_TO_ITEM = (
    "subscription_item_id", "price_id", "currency", "amount", "quantity", "unit_amount_decimal", "description",
    "formula", "period_start", "period_end", "proration", "tax_rates", "metadata",
)  # fmt: skip


def create_revision(
    invoice_id: str,
    *,
    changes: dict[str, Any],
    at: datetime,
    metadata: Given = None,
    discounts: Sequence[Wish] | None = None,
) -> Invoice:
    """Draft the revision of an open or uncollectible invoice: its lines become invoice items, so that they can be
    changed; its discounts go on. `changes` and so on are those of `update_invoice`.

    Raises ResourceMissing, InvalidRequest and its kin. Locks the customer.
    """
    with transaction.atomic():
        original = _lock(invoice_id)
        now = original.customer.now(at)
        revision = new_invoice(
            original.customer,
            original.subscription,
            Invoice.BillingReason.MANUAL,
            at=now,
            auto_advance=False,
            from_invoice=original,
        )
        for name in COPIED:
            setattr(revision, name, getattr(original, name))
        with silence():  # it is told once, when it is whole
            revision.save(force_insert=True)
            _copy(original, revision, at=now)
            rebuild_draft(revision)
            revision = update_invoice(revision.pk, changes=changes, metadata=metadata, discounts=discounts, at=at)
        tell("created", revision, at=now)
        return revision


def _lock(invoice_id: str) -> Invoice:
    param = "from_invoice[invoice]"
    try:
        original = lock_invoice(invoice_id)
    except NotFound as error:
        raise ResourceMissing("invoice", invoice_id, param=param) from error
    if original.status not in (Invoice.Status.OPEN, Invoice.Status.UNCOLLECTIBLE):
        raise InvalidRequest(
            f"Only an open or uncollectible invoice can be revised. This one is {original.status}.", param=param
        )
    if original.amount_paid or original.pre_payment_credit_notes_amount:
        raise InvalidRequest("An invoice with payments or credit notes cannot be revised.", param=param)
    if original.lines.exclude(credit_amounts=[]).exists():
        raise InvalidRequest("An invoice that has used billing credits cannot be revised.", param=param)
    if draft := original.revisions.first():
        raise InvalidRequest(f"This invoice has a revision already, the draft {draft.pk}.", param=param)
    return original


def _copy(original: Invoice, revision: Invoice, *, at: datetime) -> None:
    lines = list(original.lines.order_by("position"))
    used = {share["discount"] for line in lines for share in line.discount_amounts}
    discounts = Discount.objects.in_bulk(used)
    for position, line in enumerate(lines, start=1):
        item = _item(line, original, revision, position, at, discounted=bool(used))
        item.save(force_insert=True)
        for share in line.discount_amounts:
            before = discounts[share["discount"]]
            if _is_of_line(before):
                item.discounts.append(_continue(before, len(item.discounts), invoice_item=item.pk))
        item.save(update_fields=["discounts"])
    of_invoice = sorted((one for one in discounts.values() if not _is_of_line(one)), key=lambda one: one.position)
    revision.discounts = [
        _continue(before, position, invoice=revision.pk) for position, before in enumerate(of_invoice)
    ]
    revision.save(update_fields=["discounts"])


def _item(
    line: InvoiceLine, original: Invoice, revision: Invoice, position: int, at: datetime, *, discounted: bool
) -> InvoiceItem:
    return InvoiceItem(
        customer=original.customer,
        subscription=original.subscription if line.subscription_item_id else None,
        invoice=revision,
        discountable=line.discountable and (bool(line.discount_amounts) or not discounted),
        added_position=position,
        made_on_invoice=True,
        created_at=at,
        **{name: getattr(line, name) for name in COPIED_TO_ITEM},
    )


def _is_of_line(discount: Discount) -> bool:
    return bool(discount.invoice_item or discount.invoice_line or discount.subscription_item)


def _continue(before: Discount, position: int, **owner: str) -> str:
    """The same discount for the revision, whether or not it would still hold: it is the same purchase."""
    made = Discount.objects.create(
        coupon_id=before.coupon_id,
        promotion_code_id=before.promotion_code_id,
        customer_id=before.customer_id,
        position=position,
        start=before.start,
        end=None,
        origin=before.origin or before,
        **owner,
    )
    return made.pk
