"""What becomes of usage that changed after its invoice: on the next invoice, billed or credited by itself, held, or not
billed. By the rule of the price, else of the customer, else of the installation.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from core.errors import InvalidRequest, NotFound
from core.money import AmountTooLarge
from customers.balance import Type, change_balance
from customers.locks import lock_customer
from customers.models import Customer
from invoices.adjustments import invoice_items
from invoices.corrections import Correction, Original, correct
from invoices.credits_returned import give_back
from invoices.models import InvoiceItem, InvoiceLine, LateUsage
from invoices.modifiers import Modifiers
from invoices.originals import originals
from invoices.taxes import tax_lines
from meters.usage import Usage
from pricing.models import Price
from pricing.snapshots import terms_kept
from webhooks.events import record_many

Rule, State = Customer.LateUsage, LateUsage.State
MOST_UNITS = 10**18


@dataclass(frozen=True, slots=True)
class Difference:
    """A billed period whose usage is `now` another than it was when it was read last (by the line, or by the revision
    before)."""

    period: int
    line: str
    revision: int
    quantity: Decimal
    events: int
    token: str
    taken_at: datetime
    now: Usage


def rule_of(price: Price, customer: Customer) -> str:
    """The rule of the price, else of the customer, else of the installation."""
    return price.late_usage or customer.late_usage_rule


def record(
    found: Sequence[Difference],
    customers: Mapping[str, Customer],
    *,
    at: datetime,
    invoiced_next: Collection[str] = (),
) -> list[LateUsage]:
    """Keep each difference and do with it what its rule says. `invoiced_next`: subscriptions whose next invoice is just
    being made. The caller holds the customers' locks, and has read the differences under them."""
    if not found:
        return []
    lines = InvoiceLine.objects.select_related(
        "invoice__subscription", "price__product", "item_period", "subscription_item"
    ).in_bulk([difference.line for difference in found])
    rows = []
    billed = originals(lines.values())
    corrected = _corrected([difference.period for difference in found])
    for difference in found:
        line = lines[difference.line]
        assert line.invoice.subscription is not None, "a period is of a subscription"
        line.invoice.subscription.customer = line.invoice.customer = customers[line.invoice.customer_id]
        correction = _correct(difference, line, billed[line.pk], corrected.get(difference.period, 0))
        rows.append(_row(difference, line, correction, at))
    _follow_rules(rows, at, invoiced_next)
    return rows


def bill_late_usage(id: str, *, at: datetime, separately: bool = False, by: str = "") -> LateUsage:
    """Bill a difference that waits, or was not billed: on the next invoice, or by itself.

    Raises NotFound, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        row = _lock(id)
        if not row.may_be_billed:
            raise InvalidRequest(f"Only late usage that is held or not billed can be billed; this is {row.state}.")
        at = row.customer.now(at)
        row.settled_at, row.settled_by = at, by
        bill = _bill_separately if separately or row.subscription.has_ended else _bill_next
        bill(_left_in_money([row], at), at)
        row.save(update_fields=["state", "invoice_item", "credited_by", "credit_amounts", "settled_at", "settled_by"])
        return row


def waive_late_usage(id: str, *, reason: str, at: datetime, by: str) -> LateUsage:
    """Decide that a difference that waits is never billed. Raises NotFound, InvalidRequest. Locks the customer."""
    with transaction.atomic():
        row = _lock(id)
        if not row.may_be_waived:
            raise InvalidRequest(f"Only late usage that is held can be waived; this is {row.state}.")
        row.state, row.reason = State.WAIVED, reason
        row.settled_at, row.settled_by = row.customer.now(at), by
        row.save(update_fields=["state", "reason", "settled_at", "settled_by"])
        return row


def bill_left_over(id: str, at: datetime) -> LateUsage | None:
    """Bill or credit by itself what the next invoice was to bill, of a subscription that ended without one; None where
    an invoice has it. Idempotent. Locks the customer."""
    with transaction.atomic():
        row = _lock(id)
        item = row.invoice_item
        if item is None or not LateUsage.objects.left_over().filter(pk=id).exists():
            return None
        now = row.customer.now(at)
        if row.amount > 0 or row.customer.currency != row.currency:
            invoice_items(row.subscription, [item], at=now)
            return row
        row.invoice_item = None
        credit(row, now)
        row.save(update_fields=["state", "invoice_item", "credited_by"])
        record_many("invoiceitem.deleted", "invoiceitem", [item], at=now)
        item.delete()
        return row


def _lock(id: str) -> LateUsage:
    customer_id = LateUsage.objects.filter(pk=id).values_list("customer_id", flat=True).first()
    if customer_id is None:
        raise NotFound("late usage", id)
    customer = lock_customer(customer_id)
    row = LateUsage.objects.select_for_update(of=("self",)).select_related(*READ_WITH).get(pk=id)
    row.customer = row.subscription.customer = row.line.invoice.customer = customer
    return row


READ_WITH = ("subscription", "item_period", "line__invoice", "line__price__product")


def _corrected(periods: Sequence[int]) -> dict[int, int]:
    """What earlier corrections have come to, by period. One that was not billed, on purpose, counts too: it is not
    billed later, by another name."""
    sums: dict[int, int] = defaultdict(int)
    for period, amount in LateUsage.objects.filter(item_period__in=periods).values_list("item_period", "amount"):
        sums[period] += amount
    return sums


def _correct(difference: Difference, line: InvoiceLine, billed: Original, corrected: int) -> Correction:
    assert line.terms is not None, "a metered line keeps its terms"
    if abs(difference.now.quantity - difference.quantity) >= MOST_UNITS:
        raise AmountTooLarge("The usage has changed by more than can be billed.")
    return correct(
        terms_kept(line.terms),
        billed,
        before=difference.quantity,
        after=difference.now.quantity,
        corrected=corrected,
    )


def _row(difference: Difference, line: InvoiceLine, correction: Correction, at: datetime) -> LateUsage:
    customer, subscription = line.invoice.customer, line.invoice.subscription
    assert subscription is not None, "a period is of a subscription"
    assert line.item_period is not None, "a metered line is of a period"
    assert line.price is not None, "and at a price"
    start, end = line.item_period.starts_at, line.item_period.ends_at
    return LateUsage(
        customer=customer,
        subscription=subscription,
        item_period=line.item_period,
        line=line,
        revision=difference.revision,
        rule=rule_of(line.price, customer),
        state=State.FOUND,
        currency=line.currency,
        amount=correction.amount,
        rated_before=correction.rated_before,
        rated_after=correction.rated_after,
        description=f"{line.price.product.name} (late usage, {start:%-d %b %Y} – {end:%-d %b %Y})",
        formula=correction.formula,
        quantity_before=difference.quantity,
        quantity_after=difference.now.quantity,
        events_before=difference.events,
        events_after=difference.now.events,
        snapshot_before=difference.token,
        snapshot_after=difference.now.snapshot.token,
        read_before_at=difference.taken_at,
        read_after_at=difference.now.snapshot.taken_at,
        created_at=customer.now(at),
    )


def _follow_rules(rows: Sequence[LateUsage], at: datetime, invoiced_next: Collection[str]) -> None:
    """Do what the rules say, and store the rows. What makes no difference in money is kept all the same, so that it is
    not found again."""
    following: dict[str, list[LateUsage]] = defaultdict(list)
    for row in rows:
        if row.amount:
            has_next = row.subscription_id in invoiced_next or not row.subscription.has_ended
            following[Rule.ADJUSTMENT if row.rule == Rule.NEXT_INVOICE and not has_next else row.rule].append(row)
    for row in following[Rule.HOLD]:
        row.state = State.HELD
    for row in following[Rule.NOT_BILLED]:
        row.state = State.NOT_BILLED
    _bill_next(_left_in_money(following[Rule.NEXT_INVOICE], at), at)
    _bill_separately(_left_in_money(following[Rule.ADJUSTMENT], at), at)
    LateUsage.objects.bulk_create(rows)


def _left_in_money(rows: Sequence[LateUsage], at: datetime) -> list[LateUsage]:
    """Give back what goes back in credits; those of which something is left to bill, or to give back."""
    give_back(rows, at)
    for row in rows:
        if not row.in_money:
            first = row.credit_amounts[0]
            row.state, row.credited_by = State.CREDITED, first["granted"] or first["credit_grant"]
    return [row for row in rows if row.in_money]


def _bill_next(rows: Sequence[LateUsage], at: datetime) -> list[InvoiceItem]:
    """Pending invoice items, which the next invoice of the subscription takes up."""
    items = [_item(row, row.customer.now(at)) for row in rows]
    for row, item in zip(rows, InvoiceItem.objects.bulk_create(items), strict=True):
        row.state, row.invoice_item = State.BILLED, item
    if items:
        record_many("invoiceitem.created", "invoiceitem", items, at=items[0].created_at)
    return items


def _bill_separately(rows: Sequence[LateUsage], at: datetime) -> None:
    """What is more is invoiced at once, one invoice for a subscription; what is less is credited."""
    more: dict[str, list[LateUsage]] = defaultdict(list)
    for row in rows:
        if row.amount > 0:
            more[row.subscription_id].append(row)
        elif row.customer.currency == row.currency:
            credit(row, row.customer.now(at))
        else:
            _bill_next([row], at)  # the balance is in another currency
    for together in more.values():
        now = together[0].customer.now(at)
        invoice_items(together[0].subscription, _bill_next(together, at), at=now)


def credit(row: LateUsage, at: datetime) -> None:
    """Give back what was billed too much in money, with its taxes: to the customer's balance.

    The invoice stays as it is, paid or not; what it owes is lowered by hand, by a credit note, where that is wanted.
    """
    amount = row.in_money + _taxes_on(row)
    made = change_balance(
        row.customer,
        amount,
        type=Type.ADJUSTMENT,
        at=at,
        invoice=row.line.invoice_id,
        description=row.description[:350],
    )
    row.state, row.credited_by = State.CREDITED, made.pk


def _taxes_on(row: LateUsage) -> int:
    """What the tax rates of the line put on top of the difference."""
    modifiers = Modifiers((), row.line.tax_rates, since=row.created_at)
    rates = modifiers.tax_rates(row.line.tax_rates, ())
    exempt = row.line.invoice.customer_tax_exempt
    (taxes,) = tax_lines([(row.in_money, rates)], tax_exempt=exempt, rounding="line")
    return sum(tax.amount for tax in taxes if not tax.rate.inclusive)


def _item(row: LateUsage, at: datetime) -> InvoiceItem:
    """In the proportion in which the invoice was discounted, so it is not discounted again."""
    return InvoiceItem(
        customer=row.customer,
        subscription=row.subscription,
        subscription_item_id=row.line.subscription_item_id,
        price_id=row.line.price_id,
        currency=row.currency,
        amount=row.in_money,
        quantity=row.quantity,
        description=row.description,
        formula=f"{row.formula}; {row.in_credits} of it in credits" if row.in_credits else row.formula,
        period_start=row.item_period.starts_at,
        period_end=row.item_period.ends_at,
        discountable=False,
        tax_rates=row.line.tax_rates,
        created_at=at,
    )
