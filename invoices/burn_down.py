"""What is left of credit grants while their period still runs: the ledger, less what the invoices to come would use.

The invoices to come are drafts, and of each subscription what no invoice has billed, rated now as the real invoices
will be. They use the grants one after the other, in the order in which they become final, each what the one before it
has left. Which grants can pay is judged at that instant too: a grant that ends before then pays nothing, and stands in
the balance until it ends. Holds use what they set aside as if it were used now: units with the usage of their meter,
money after all usage. Read for many customers at once; the number of statements depends neither on how many they are
nor on how many events there are.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from core.money import MAX_AMOUNT, AmountTooLarge
from credits.available import Held, grants_with_balance, held_of, payable
from credits.consumers import Standing, Unit
from credits.models import CreditGrant
from customers.models import Customer
from invoices.build import Billable, Built, Content, build_invoice
from invoices.coming import Coming, coming_invoices
from invoices.gather import credit_of
from invoices.simulated import pays_for, priced, quantities, with_more
from invoices.totals import Credit, Discount
from subscriptions.periods import Period

Left = dict[str, int | Decimal]  # of each grant, in its own unit


@dataclass(frozen=True)
class LiveGrant:
    """A grant, how much of it the usage so far would use, and how much more with all holds."""

    grant: CreditGrant
    used: Decimal
    held: Decimal

    @property
    def left(self) -> Decimal:
        return self.grant.balance - self.used - self.held

    def live(self, at: datetime) -> Decimal:
        """What is left of it that can be used now: nothing before it begins, and nothing once it has ended."""
        return self.left if self.grant.state(at) == "granted" else Decimal(0)

    def unused(self, at: datetime) -> Decimal:
        """The same as if nothing were held."""
        return self.live(at) + self.held if self.grant.state(at) == "granted" else Decimal(0)


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


@dataclass
class Use:
    """What is left of each grant, and what usage comes to."""

    left: Left
    spend: dict[str, Spend] = field(default_factory=dict)
    uncovered: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # with holds of money
    spent: set[str] = field(default_factory=set)  # discounts for one invoice
    priced: set[str] = field(default_factory=set)  # meters


@dataclass(frozen=True)
class OpenUsage:
    """What was read of a customer; all else is arithmetic."""

    customer: Customer
    at: datetime
    grants: Sequence[CreditGrant]
    holds: Sequence[Held]
    coming: Sequence[Coming]

    def standing(self, holds: Sequence[Held]) -> Standing:
        """How the customer stands if this is set aside."""
        use = self.use_up(holds)
        live: dict[str, Decimal] = {}
        balances: defaultdict[Unit, Decimal] = defaultdict(Decimal)
        for grant in self.grants:
            if grant.state(self.at) == "granted":
                live[grant.pk] = Decimal(use.left[grant.pk])
                balances[grant.currency, grant.meter_id] += live[grant.pk]
        unpriced = frozenset(hold.meter_id for hold in holds if hold.meter_id) - use.priced
        return Standing(live, balances, use.uncovered, unpriced)

    def burn_down(self) -> BurnDown:
        use = self.use_up(())
        with_holds = self.use_up(self.holds) if self.holds else use
        grants = [
            LiveGrant(
                grant,
                grant.balance - use.left[grant.pk],
                Decimal(use.left[grant.pk]) - Decimal(with_holds.left[grant.pk]),
            )
            for grant in self.grants
        ]
        return BurnDown(self.customer, self.at, grants, use.spend)

    def use_up(self, holds: Sequence[Held]) -> Use:
        """Let the invoices to come use the grants, one after the other, and then holds of money."""
        credits = {grant.pk: credit_of(grant) for grant in self.grants}
        use = Use({id: credit.available for id, credit in credits.items()})
        more = quantities(holds)
        for one in self.coming:
            content = _without(one.content, use.spent)
            if more and not one.is_draft:
                use.priced.update(priced(content, more, self.at))
                content = with_more(content, more, self.at)
            usable = payable(
                self.grants, currency=one.wanted.currency, period_end=one.wanted.period_end, at=one.final_at
            )
            _use(use, one, content, [credits[grant.pk] for grant in usable])
        for hold in holds:
            if hold.is_of_money:
                self._set_aside(use, hold)
        return use

    def _set_aside(self, use: Use, hold: Held) -> None:
        """Take money from the grants that would pay for it with the invoice that comes first in its currency."""
        currency, open_ = hold.currency, int(hold.amount)
        first = next((one for one in self.coming if not one.is_draft and one.wanted.currency == currency), None)
        end, final_at = (first.wanted.period_end, first.final_at) if first else (self.at, self.at)
        for grant in payable(self.grants, currency=currency, period_end=end, at=final_at):
            if pays_for(grant, hold):
                taken = min(open_, int(use.left[grant.pk]))
                use.left[grant.pk] -= taken
                open_ -= taken
        use.uncovered[currency] += open_


def burn_down(customer: Customer, *, at: datetime) -> BurnDown:
    """How a customer stands now, with every event acknowledged before this call. `at` is real time."""
    return burn_downs([customer], at=at)[customer.pk]


def burn_downs(customers: Sequence[Customer], *, at: datetime) -> dict[str, BurnDown]:
    """The same for many customers at once, by their ids."""
    return {id: usage.burn_down() for id, usage in open_usage(customers, at=at).items()}


def open_usage(customers: Sequence[Customer], *, at: datetime) -> dict[str, OpenUsage]:
    """Read what decides the burn-down of customers, each at its own time.

    Without the locks of the customers, what is captured or becomes final meanwhile may count twice, and never not at
    all: holds are read before usage, and usage before the ledger.
    """
    ids = [customer.pk for customer in customers]
    now = {customer.pk: customer.now(at) for customer in customers}
    holds = held_of(ids, at=at)
    coming = coming_invoices(customers, at=at)
    grants = grants_with_balance(ids)
    return {
        customer.pk: OpenUsage(
            customer, now[customer.pk], grants.get(customer.pk, ()), holds.get(customer.pk, ()), coming[customer.pk]
        )
        for customer in customers
    }


def _use(use: Use, one: Coming, content: Content, credits: Sequence[Credit]) -> None:
    """Let an invoice to come use some credits."""
    given = tuple(replace(each, available=use.left[each.id]) for each in credits if use.left[each.id])
    try:
        built = build_invoice(replace(content, credits=() if one.is_forgiven else given))
    except AmountTooLarge:
        use.left |= dict.fromkeys((each.id for each in given), 0)
        found = Spend(MAX_AMOUNT, MAX_AMOUNT, one.period)
    else:
        _take(built, use.left)
        use.spent |= _spends(content, built)
        found = Spend(*_usage_of(built), one.period)
    if one.is_draft:
        return
    currency = one.wanted.currency
    if one.is_forgiven:
        found = replace(found, uncovered=0)
    use.uncovered[currency] += found.uncovered
    before = use.spend.get(currency)
    if before is not None:
        found = Spend(before.amount + found.amount, before.uncovered + found.uncovered, before.period)
    use.spend[currency] = found


def _take(built: Built, left: Left) -> None:
    for line in built.totals.lines:
        units = dict(line.units)
        for id, amount in line.credits:
            left[id] -= units.get(id, amount)


def _usage_of(built: Built) -> tuple[int, int]:
    """What the lines of usage come to: all of it, and what is neither billed yet nor paid by credits."""
    amount = uncovered = 0
    for line, totals in zip(built.lines, built.totals.lines, strict=True):
        if isinstance(line.source, Billable) and line.source.usage is not None:
            net = line.amount - sum(share for _, share in totals.discounts)
            amount += net if line.kind != "billed" else 0
            uncovered += net - sum(share for _, share in totals.credits)
    return amount, uncovered


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
