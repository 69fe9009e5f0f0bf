"""What must hold for a customer at any time, whoever was killed, paused or raced: each rule says what breaks it."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from django.db.models import Sum

from credits.models import CreditTransaction, LedgerEntry, TopUp
from customers.models import Customer, CustomerBalanceTransaction
from invoices.models import Invoice, InvoiceLine
from meters.usage import usage
from pricing.records import usage_question
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem

Invoices = list[Invoice]
APPLIED = CustomerBalanceTransaction.Type.APPLIED_TO_INVOICE


def violations(customer: Customer) -> list[str]:
    rules = (
        _totals,
        _one_invoice_a_cycle,
        _periods_tile,
        _ends,
        _billed_once,
        _usage_is_as_read,
        _numbers,
        _balance,
        _credit_notes,
        _applied,
        _credits,
        _credits_applied,
        _carried_over,
        _bought,
    )
    invoices = Invoice.objects.filter(customer=customer)
    all_of_them = list(invoices.prefetch_related("lines__meter", "lines__item_period").order_by("created_at", "pk"))
    return [f"{rule.__name__.strip('_')}: {what}" for rule in rules for what in rule(customer, all_of_them)]


TOTALS = {
    "subtotal": "amount",
    "discount_total": "discount_total",
    "credit_total": "credit_total",
    "tax_total": "tax_total",
    "inclusive_tax_total": "inclusive_tax_total",
}


def _shares(line: InvoiceLine) -> Iterator[str]:
    """The sums of a line against its lists."""
    sums = {
        "discount_total": sum(share["amount"] for share in line.discount_amounts),
        "credit_total": sum(share["amount"] for share in line.credit_amounts),
        "tax_total": sum(share["amount"] for share in line.tax_amounts if not share["inclusive"]),
        "inclusive_tax_total": sum(share["amount"] for share in line.tax_amounts if share["inclusive"]),
    }
    yield from (f"{line.pk}: {name} is not {found}" for name, found in sums.items() if getattr(line, name) != found)


def _totals(customer: Customer, invoices: Invoices) -> Iterator[str]:
    for invoice in invoices:
        lines = invoice.lines.all()
        for name, of_lines in TOTALS.items():
            if getattr(invoice, name) != (added := sum(getattr(line, of_lines) for line in lines)):
                yield f"{invoice.pk} has lines of {added} and a {name} of {getattr(invoice, name)}"
        for line in lines:
            yield from _shares(line)
        total = invoice.subtotal - invoice.discount_total - invoice.credit_total + invoice.tax_total
        if invoice.total != total:
            yield f"{invoice.pk} has a total of {invoice.total}, and its parts make {total}"
        if not invoice.lines.all():
            yield f"{invoice.pk} has no lines"


def _one_invoice_a_cycle(customer: Customer, invoices: Invoices) -> Iterator[str]:
    once = (Invoice.BillingReason.SUBSCRIPTION_CREATE, Invoice.BillingReason.SUBSCRIPTION_CYCLE)  # changes make more
    cycles = Counter(
        (invoice.subscription_id, invoice.billing_reason, invoice.period_end)
        for invoice in invoices
        if invoice.billing_reason in once
    )
    yield from (f"{count} invoices for {cycle}" for cycle, count in cycles.items() if count > 1)


def _periods_tile(customer: Customer, invoices: Invoices) -> Iterator[str]:
    for item in SubscriptionItem.objects.filter(subscription__customer=customer).select_related("subscription"):
        periods = list(item.periods.order_by("starts_at", "ends_at"))
        for earlier, later in pairwise(periods):
            if earlier.ends_at != later.starts_at:
                yield f"{item.pk}: {earlier} is followed by {later}"
        begins = item.subscription.start_date if item.created_at == item.subscription.created_at else item.created_at
        if not periods or periods[0].starts_at != begins:
            yield f"{item.pk} does not begin with its subscription, or when it was added"
        running = 0 if item.subscription.has_ended or item.deleted_at else 1
        if sum(period.runs for period in periods) != running:
            yield f"{item.pk} has not {running} open period"


def _ends(customer: Customer, invoices: Invoices) -> Iterator[str]:
    for subscription in Subscription.objects.filter(customer=customer, status=Subscription.Status.CANCELED):
        last = ItemPeriod.objects.filter(item__subscription=subscription).order_by("-ends_at").first()
        if last and subscription.ended_at and subscription.ended_at < last.ends_at:
            yield f"{subscription.pk} ended at {subscription.ended_at}, its last period at {last.ends_at}"
    for invoice in invoices:
        if invoice.period_end < invoice.period_start:
            yield f"{invoice.pk} covers {invoice.period_start} to {invoice.period_end}"


def _billed_once(customer: Customer, invoices: Invoices) -> Iterator[str]:
    """Each closed and invoiced period of a metered item is on one invoice; one that is open, on none. Those of
    thresholds come on top, each as a revision of its own."""
    periods = ItemPeriod.objects.filter(item__subscription__customer=customer, price__meter__isnull=False)
    for period in periods:
        billing = {
            (line.revision, invoice.pk, invoice.billing_reason)
            for invoice in invoices
            for line in invoice.lines.all()
            if line.item_period == period
        }
        if sorted(revision for revision, _, _ in billing) != list(range(len(billing))):
            yield f"the period {period} is billed as {sorted(billing)}"
        wanted = 1 if period.outcome == ItemPeriod.Outcome.INVOICED else 0
        early = sum(reason == Invoice.BillingReason.SUBSCRIPTION_THRESHOLD for _, _, reason in billing)
        if not len(billing) - early <= wanted <= len(billing):
            yield f"the period {period} is on {len(billing)} invoices, not on {wanted}"


def _usage_is_as_read(customer: Customer, invoices: Invoices) -> Iterator[str]:
    """A line's snapshot gives the line's usage again, whatever has arrived since."""
    for line in (line for invoice in invoices for line in invoice.lines.all() if line.meter):
        span = {"start": line.period_start, "end": line.period_end}
        asked = usage_question(line.price, line.subscription_item_id)
        again = usage(asked.meter, customer, **span, as_of=line.snapshot, only=asked.only)
        if (again.quantity, again.events) != (line.usage_quantity, line.usage_events):
            told = f"{line.usage_events} events of {line.usage_quantity}"
            yield f"{line.pk} tells of {told}, its snapshot of {again.events} of {again.quantity}"


def _numbers(customer: Customer, invoices: Invoices) -> Iterator[str]:
    row = Customer.objects.get(pk=customer.pk)
    given = sorted(invoice.number for invoice in invoices if invoice.number)
    wanted = [f"{row.invoice_prefix}-{number:04d}" for number in range(1, row.next_invoice_sequence)]
    if given != wanted:
        yield f"{given} instead of {wanted}"


def _balance(customer: Customer, invoices: Invoices) -> Iterator[str]:
    row = Customer.objects.get(pk=customer.pk)
    amounts = [entry.amount for entry in row.balance_transactions.all()]
    if (row.balance, row.balance_sequence) != (sum(amounts), len(amounts)):
        yield f"a balance of {row.balance} after {row.balance_sequence} changes, and {len(amounts)} of {sum(amounts)}"


def _credit_notes(customer: Customer, invoices: Invoices) -> Iterator[str]:
    for invoice in invoices:
        notes = list(invoice.credit_notes.prefetch_related("lines").order_by("sequence"))
        issued = [note for note in notes if note.status == "issued"]
        if (credited := sum(note.total for note in issued)) > max(invoice.total, 0):
            yield f"{invoice.pk} has credit notes of {credited} and a total of {invoice.total}"
        if [note.sequence for note in notes] != list(range(1, len(notes) + 1)):
            yield f"{invoice.pk} has the notes {[note.number for note in notes]}"
        shown = (invoice.pre_payment_credit_notes_amount, invoice.post_payment_credit_notes_amount)
        sums = (sum(note.pre_payment_amount for note in issued), sum(note.post_payment_amount for note in issued))
        if shown != sums:
            yield f"{invoice.pk} shows credit notes of {shown}, and has {sums}"
        for note in notes:
            if note.total != sum(line.total for line in note.lines.all()):
                yield f"{note.pk} is not the sum of its lines"


def _applied(customer: Customer, invoices: Invoices) -> Iterator[str]:
    """What an invoice took of the balance is one row of the ledger, which begins and ends as the invoice says."""
    for invoice in (invoice for invoice in invoices if invoice.ending_balance is not None):
        rows = customer.balance_transactions.filter(invoice=invoice.pk)
        applied = [(row.ending_balance - row.amount, row.ending_balance) for row in rows.filter(type=APPLIED)]
        told = [(invoice.starting_balance, invoice.ending_balance)]
        if applied != (told if invoice.starting_balance != invoice.ending_balance else []):
            yield f"{invoice.pk} tells of a balance that went {told}, its ledger of {applied}"
        if invoice.status == Invoice.Status.VOID and sum(row.amount for row in rows):
            yield f"{invoice.pk} is void, and has kept {rows}"


def _credits(customer: Customer, invoices: Invoices) -> Iterator[str]:
    """What is left of a grant is the sum of its transactions at every step, and the sides of each sum to zero."""
    for grant in customer.credit_grants.prefetch_related("transactions"):
        left = grant.amount * 0
        for row in sorted(grant.transactions.all(), key=lambda row: row.sequence):
            left += row.amount
            if not (left == row.ending_balance and 0 <= left <= grant.amount):
                yield f"{row.pk} leaves {row.ending_balance} of {grant.pk}, and the sum is {left} of {grant.amount}"
        if grant.balance != left:
            yield f"{grant.pk} shows {grant.balance}, and has {left}"
    sides = LedgerEntry.objects.filter(transaction__customer=customer).values("transaction").annotate(sum=Sum("amount"))
    yield from (f"{one['transaction']} has sides that sum to {one['sum']}" for one in sides if one["sum"])


def _credits_applied(customer: Customer, invoices: Invoices) -> Iterator[str]:
    """The ledger has what the lines of final invoices say, once; and has given back what void ones had."""
    kinds = (CreditTransaction.Type.CREDITS_APPLIED, CreditTransaction.Type.CREDITS_APPLICATION_INVOICE_VOIDED)
    booked: Counter[tuple[str, str]] = Counter()
    for row in CreditTransaction.objects.filter(customer=customer, type__in=kinds):
        booked[row.invoice_line, row.grant_id] -= row.amount
    told: Counter[tuple[str, str]] = Counter()
    for invoice in invoices:
        for line in invoice.lines.all() if invoice.finalized_at and invoice.status != "void" else ():
            for share in line.credit_amounts:
                told[line.pk, share["credit_grant"]] += Decimal(share.get("quantity", share["amount"]))
    for key in {*booked, *told}:
        if booked[key] != told[key]:
            yield f"{key}: the ledger has {booked[key]}, the line {told[key]}"


def _carried_over(customer: Customer, invoices: Invoices) -> Iterator[str]:
    """What went over into a period had expired in the one before it, and nothing was carried while it waits."""
    for grant in customer.credit_grants.filter(rolled_over_from__isnull=False).select_related("rolled_over_from"):
        source = grant.rolled_over_from
        assert source is not None, "selected"
        expired = -sum(row.amount for row in source.transactions.filter(type=CreditTransaction.Type.CREDITS_EXPIRED))
        if source.settles_at or source.balance or grant.amount > expired:
            yield f"{grant.pk} has {grant.amount}, of {source.pk} {expired} had expired and {source.balance} is left"


def _bought(customer: Customer, invoices: Invoices) -> Iterator[str]:
    """A purchase is paid, with a grant, where its invoice is; one at a time waits, and its invoice is open."""
    by_id = {invoice.pk: invoice for invoice in invoices}
    top_ups = list(TopUp.objects.filter(auto_top_up__customer=customer).select_related("grant"))
    for top_up in top_ups:
        invoice = by_id[top_up.invoice]
        wanted = {"open": "awaiting_payment", "paid": "paid", "void": "failed", "uncollectible": "failed"}
        if top_up.status != wanted[invoice.status] and not invoice.pre_payment_credit_notes_amount:
            yield f"{top_up.pk} is {top_up.status}, its invoice {invoice.status}"
        if top_up.grant is not None and top_up.grant.amount > top_up.amount:
            yield f"{top_up.pk} has bought {top_up.amount}, and brought {top_up.grant.amount}"
    waiting = Counter(top_up.auto_top_up_id for top_up in top_ups if top_up.status == TopUp.Status.AWAITING_PAYMENT)
    yield from (f"{id} has {count} purchases that wait" for id, count in waiting.items() if count > 1)
