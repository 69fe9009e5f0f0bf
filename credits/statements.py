"""What credits come to in words, for pages: amounts, scopes, and statements with a running balance."""

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Sum, Window

from core.money import format_minor, plain
from credits.models import CreditGrant, CreditTransaction, RecurringCreditGrant
from customers.models import Customer
from meters.models import Meter
from pricing.models import Price

WORDS = {
    "credits_granted": "Granted",
    "credits_applied": "Applied to an invoice",
    "credits_application_invoice_voided": "Given back: the invoice is void",
    "credits_expired": "Expired",
    "credits_voided": "Voided",
}


@dataclass(frozen=True)
class Entry:
    """One row of a statement. `balance` is what was left in the unit after it: of the grant, or of all grants."""

    transaction: CreditTransaction
    words: str
    amount: str
    balance: str


def words_of(amount: Decimal, currency: str, meter: Meter | None) -> str:
    """Money as people write it, or a quantity of a meter."""
    return format_minor(int(amount), currency) if meter is None else f"{plain(amount)} × {meter.display_name}"


def amount_words(grant: CreditGrant, amount: Decimal) -> str:
    return words_of(amount, grant.currency, grant.meter)


def scope_words(grant: CreditGrant | RecurringCreditGrant) -> str:
    """Which usage a grant pays for."""
    if not grant.prices:
        return "every metered price" if grant.is_of_money else "every price of the meter"
    return ", ".join(str(price) for price in Price.objects.filter(pk__in=grant.prices).select_related("product"))


def statement_of(grant: CreditGrant) -> list[Entry]:
    """The whole ledger of a grant, the newest first."""
    rows = CreditTransaction.objects.filter(grant=grant).order_by("-sequence")
    return [_entry(row, grant, row.ending_balance) for row in rows]


def statement_of_customer(customer: Customer, limit: int) -> list[Entry]:
    """The newest rows of all grants of a customer, each with what was then left in its currency, or of its meter."""
    oldest_first = ("created_at", "sequence", "id")
    running = Window(Sum("amount"), partition_by=["grant__currency", "grant__meter"], order_by=oldest_first)
    rows = CreditTransaction.objects.filter(customer=customer).annotate(left=running)
    newest = rows.select_related("grant__meter").order_by(*(f"-{name}" for name in oldest_first))[:limit]
    return [_entry(row, row.grant, row.left) for row in newest]


def _entry(row: CreditTransaction, grant: CreditGrant, left: Decimal) -> Entry:
    amount = amount_words(grant, row.amount)
    return Entry(row, WORDS[row.type], amount if row.amount < 0 else f"+{amount}", amount_words(grant, left))
