"""What a subscription needs of whoever writes the invoices, which is an app above this one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from customers.models import Customer
from pricing.models import Price
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.periods import Period


@dataclass(frozen=True)
class PendingItem:
    """An amount that a change makes, for the next invoice: a credit for unused time, or a debit for the rest of it.

    `credited_lines` are the invoice lines that a credit takes back. `discounts` are wishes (see `pricing.redeem`), and
    `param` is where they were asked for.
    """

    subscription_item: str | None
    price: str
    amount: int
    quantity: Decimal
    unit_amount: Decimal | None
    description: str
    formula: str
    period: Period
    proration: bool = True
    discountable: bool = False
    credited_lines: tuple[str, ...] = ()
    tax_rates: tuple[str, ...] = ()
    discounts: tuple[Mapping[str, str], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    param: str = ""


@dataclass(frozen=True)
class BilledFor:
    """What a slice was billed on invoices that are not void: after discounts, before taxes.

    `period` is the time it pays for. `by` are the lines or waiting invoice items that bill it, `lines` only lines.
    """

    amount: int
    period: Period
    by: tuple[str, ...]
    lines: tuple[str, ...]


class Biller(Protocol):
    """Those that change something are called inside the transaction of the change, with the customer locked."""

    def bill_start(self, subscription: Subscription, *, at: datetime, as_draft: bool = False) -> None:
        """Invoice what a new subscription owes in advance; `as_draft` leaves the invoice a draft for a while."""

    def bill_due(self, subscription: Subscription, *, at: datetime) -> None:
        """Close the periods that have ended by `at`, so that a change begins from an up-to-date state."""

    def bill_end(self, subscription: Subscription, *, at: datetime, invoice_now: bool) -> None:
        """Close the open periods of a subscription that ends now, and invoice their usage or discard it."""

    def add_pending(self, subscription: Subscription, items: Sequence[PendingItem], *, at: datetime) -> list[str]:
        """Keep amounts for the next invoice; their ids, in their order."""

    def invoice_now(
        self,
        subscription: Subscription,
        *,
        at: datetime,
        slices: Sequence[ItemPeriod] = (),
        proration_date: datetime | None = None,
    ) -> None:
        """Invoice at once what is pending, what changes have cut off, and slices in advance that begin now."""

    def billed_for(self, periods: Sequence[ItemPeriod]) -> Mapping[int, BilledFor]:
        """What each of these slices was billed, by its key; one that was not is missing."""

    def outstanding_credit(
        self, item: SubscriptionItem, *, price: Price, quantity: Decimal, period: Period
    ) -> int | None:
        """The amount of a proration that credits just this, if no later one has debited it again."""

    def has_bought(self, customer: Customer) -> bool:
        """Whether the customer has had an invoice that counts as a purchase."""

    def reads_again(self, period: ItemPeriod) -> bool:
        """Whether the invoice of a closed period will read its usage again, as a draft does."""

    def invoices_of(self, periods: Sequence[ItemPeriod]) -> Mapping[int, str]:
        """The id of the invoice on which each of these periods is, by the period's."""


_billers: list[Biller] = []


def use(biller: Biller) -> None:
    """Name the biller; called once, from `AppConfig.ready`."""
    _billers[:] = [biller]


def biller() -> Biller:
    return _billers[0]
