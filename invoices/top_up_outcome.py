"""What the end of an invoice makes of the purchase of credits that it was for. The callers hold the customer's lock."""

from datetime import datetime
from decimal import Decimal

from credits.grants import NewGrant, grant_credits
from credits.models import AutoTopUp, TopUp
from invoices.models import Invoice
from webhooks.events import record

OBJECT = "billing.auto_top_up"
Status = TopUp.Status


def settle_top_up(invoice: Invoice, *, at: datetime) -> None:
    """Grant what an invoice that is paid has bought; one that is void or written off disables the auto top-up.

    Idempotent: a purchase has one grant. One that was given up is granted all the same when it is paid in the end.
    """
    if invoice.subscription_id is not None:
        return
    top_up = TopUp.objects.select_related("auto_top_up").filter(invoice=invoice.pk).first()
    if top_up is None or top_up.status == Status.PAID:
        return
    top_up.auto_top_up.customer = invoice.customer
    bought = top_up.amount - invoice.pre_payment_credit_notes_amount
    if invoice.status == Invoice.Status.PAID and bought > 0:
        _grant(top_up, invoice, bought, at)
    elif top_up.status == Status.AWAITING_PAYMENT:
        _fail(top_up, _why(invoice), at)


def disable(auto_top_up: AutoTopUp, reason: str, *, at: datetime) -> None:
    """Let nothing be bought any more until somebody enables it, and say so."""
    auto_top_up.enabled, auto_top_up.disabled_at, auto_top_up.disabled_reason = False, at, reason[:500]
    auto_top_up.updated_at = at
    auto_top_up.save(update_fields=["enabled", "disabled_at", "disabled_reason", "updated_at"])
    record(f"{OBJECT}.failed", OBJECT, auto_top_up, at=at)


def _grant(top_up: TopUp, invoice: Invoice, bought: int, at: datetime) -> None:
    auto_top_up = top_up.auto_top_up
    new = NewGrant(
        amount=Decimal(bought),
        currency=auto_top_up.currency,
        prices=auto_top_up.prices,
        name=auto_top_up.name,
        priority=auto_top_up.priority,
        expires_at=auto_top_up.expires_at(at),
        reason=f"Bought by the invoice {invoice.number}.",
    )
    top_up.grant = grant_credits(invoice.customer, new, at=at, is_paid_for=True)
    _settle(top_up, Status.PAID, "", at)
    record(f"{OBJECT}.succeeded", OBJECT, auto_top_up, at=at)


def _fail(top_up: TopUp, reason: str, at: datetime) -> None:
    _settle(top_up, Status.FAILED, reason, at)
    if top_up.auto_top_up.is_live:
        disable(top_up.auto_top_up, reason, at=at)


def _settle(top_up: TopUp, status: Status, reason: str, at: datetime) -> None:
    top_up.status, top_up.reason, top_up.settled_at = status, reason, at
    top_up.save(update_fields=["status", "reason", "settled_at", "grant"])


def _why(invoice: Invoice) -> str:
    what = {
        Invoice.Status.VOID: "is void",
        Invoice.Status.UNCOLLECTIBLE: "was written off as uncollectible",
        Invoice.Status.PAID: "was credited in full",
    }
    return f"The invoice {invoice.number} {what[Invoice.Status(invoice.status)]}."
