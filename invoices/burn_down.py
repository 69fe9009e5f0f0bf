"""What is left of credit grants while their period still runs: the ledger, less what the invoices to come would use.

The invoices to come are drafts, and of each subscription what no invoice has billed, rated now as the real invoices
will be. They use the grants one after the other, in the order in which they become final, each what the one before it
has left. Which grants can pay is judged at that instant too: a grant that ends before then pays nothing, and stands in
the balance until it ends. Read for many customers at once; the number of statements depends neither on how many they
are nor on how many events there are.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.money import MAX_AMOUNT, AmountTooLarge
from credits.available import grants_with_balance, payable
from credits.models import CreditGrant
from customers.models import Customer
from invoices.build import Billable, Built, Content, build_invoice
from invoices.coming import Coming, coming_invoices
from invoices.gather import credit_of
from invoices.totals import Discount
from subscriptions.periods import Period

Left = dict[str, int | Decimal]  # of each grant, in its own unit


@dataclass(frozen=True)
class LiveGrant:
    """A grant, and how much of it the usage so far would use."""

    grant: CreditGrant
    used: Decimal

    @property
    def left(self) -> Decimal:
        return self.grant.balance - self.used

    def live(self, at: datetime) -> Decimal:
        """What is left of it that can be used now: nothing before it begins, and nothing once it has ended."""
        return self.left if self.grant.state(at) == "granted" else Decimal(0)


@dataclass(frozen=True)
class Spend:
    """What the usage of the running periods comes to in a currency, after discounts and before taxes.

    `amount` is all of it. `uncovered` is what of it no credit would pay, without what a threshold has billed already.
    `period` is that which ends first.
    """

    amount: int
    uncovered: int
    period: Period


@dataclass(frozen=True)
class BurnDown:
    """How a customer stands `at` an instant of its own time; grants in the order of use, spend by currency."""

    customer: Customer
    at: datetime
    grants: Sequence[LiveGrant]
    spend: Mapping[str, Spend]

    def live_balances(self) -> dict[str, int]:
        """What is left of the grants of money that can be used now, by currency."""
        balances: dict[str, int] = {}
        for each in self.grants:
            if each.grant.is_of_money:
                currency = each.grant.currency
                balances[currency] = balances.get(currency, 0) + int(each.live(self.at))
        return balances


@dataclass(frozen=True)
class OpenUsage:
    """What was read of a customer; all else is arithmetic."""

    customer: Customer
    at: datetime
    grants: Sequence[CreditGrant]
    coming: Sequence[Coming]


def burn_down(customer: Customer, *, at: datetime) -> BurnDown:
    """How a customer stands now, with every event acknowledged before this call. `at` is real time."""
    return burn_downs([customer], at=at)[customer.pk]


def burn_downs(customers: Sequence[Customer], *, at: datetime) -> dict[str, BurnDown]:
    """The same for many customers at once, by their ids."""
    return {id: use_up(usage) for id, usage in open_usage(customers, at=at).items()}


def open_usage(customers: Sequence[Customer], *, at: datetime) -> dict[str, OpenUsage]:
    """Read what decides the burn-down of customers, each at its own time."""
    grants = grants_with_balance([customer.pk for customer in customers])
    coming = coming_invoices(customers, at=at)
    return {
        customer.pk: OpenUsage(customer, customer.now(at), grants.get(customer.pk, ()), coming[customer.pk])
        for customer in customers
    }


def use_up(usage: OpenUsage) -> BurnDown:
    """Let the invoices to come use the grants, one after the other. Pure."""
    credits = {grant.pk: credit_of(grant) for grant in usage.grants}
    left: Left = {id: credit.available for id, credit in credits.items()}
    spend: dict[str, Spend] = {}
    spent: set[str] = set()  # discounts for one invoice
    for one in usage.coming:
        currency = one.wanted.currency
        usable = payable(usage.grants, currency=currency, period_end=one.wanted.period_end, at=one.final_at)
        given = tuple(replace(credits[grant.pk], available=left[grant.pk]) for grant in usable if left[grant.pk])
        try:
            built = build_invoice(replace(_without(one.content, spent), credits=() if one.is_forgiven else given))
        except AmountTooLarge:
            left |= dict.fromkeys((credit.id for credit in given), 0)
            found = Spend(MAX_AMOUNT, MAX_AMOUNT, one.period)
        else:
            _take(built, left)
            spent |= _spends(one.content, built)
            found = Spend(*_usage_of(built), one.period)
        if not one.is_draft:
            spend[currency] = _add(spend.get(currency), found, is_forgiven=one.is_forgiven)
    taken = [LiveGrant(grant, grant.balance - left[grant.pk]) for grant in usage.grants]
    return BurnDown(usage.customer, usage.at, taken, spend)


def _take(built: Built, left: Left) -> None:
    for line in built.totals.lines:
        units = dict(line.units)
        for id, amount in line.credits:
            left[id] -= units.get(id, amount)


def _spends(content: Content, built: Built) -> set[str]:
    """Which discounts for one invoice it applies."""
    applied = {id for id, _ in built.totals.discounts}
    given = [
        *content.discounts,
        *(one for billable in content.billables for one in billable.discounts),
        *(one for item in (*content.items, *content.added) for one in item.discounts),
    ]
    return {one.once for one in given if one.once and one.id in applied}


def _without(content: Content, spent: Set[str]) -> Content:
    """The same without the discounts that an invoice before it has spent."""
    if not spent:
        return content
    return replace(
        content,
        discounts=_unspent(content.discounts, spent),
        billables=[replace(one, discounts=_unspent(one.discounts, spent)) for one in content.billables],
        items=[replace(one, discounts=_unspent(one.discounts, spent)) for one in content.items],
        added=[replace(one, discounts=_unspent(one.discounts, spent)) for one in content.added],
    )


def _unspent(discounts: Sequence[Discount], spent: Set[str]) -> tuple[Discount, ...]:
    return tuple(one for one in discounts if one.once not in spent)


def _usage_of(built: Built) -> tuple[int, int]:
    """What the lines of usage come to: all of it, and what is neither billed yet nor paid by credits."""
    amount = uncovered = 0
    for line, totals in zip(built.lines, built.totals.lines, strict=True):
        if isinstance(line.source, Billable) and line.source.usage is not None:
            net = line.amount - sum(share for _, share in totals.discounts)
            amount += net if line.kind != "billed" else 0
            uncovered += net - sum(share for _, share in totals.credits)
    return amount, uncovered


def _add(before: Spend | None, more: Spend, *, is_forgiven: bool) -> Spend:
    uncovered = 0 if is_forgiven else more.uncovered
    if before is None:
        return replace(more, uncovered=uncovered)
    return replace(before, amount=before.amount + more.amount, uncovered=before.uncovered + uncovered)
