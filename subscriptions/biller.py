"""What a subscription needs of whoever writes the invoices, which is an app above this one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pricing.models import Price
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.periods import Period


@dataclass(frozen=True)
class PendingItem:
    """An amount that waits for an invoice, in minor units: a proration, or what a backdated start owes.

    `credited_lines` are the invoice lines that a credit takes back.
    """

    subscription_item: SubscriptionItem
    price: Price
    amount: int
    quantity: Decimal
    unit_amount: Decimal | None
    description: str
    formula: str
    period: Period
    proration: bool = True
    credited_lines: Sequence[str] = ()
    discountable: bool = False


@dataclass(frozen=True)
class Billed:
    """What was billed for a licensed slice, after discounts: an amount for a period, on lines or waiting items."""

    amount: int
    period: Period
    by: tuple[str, ...]
    lines: tuple[str, ...]


class Biller(Protocol):
    """Those that change something are called inside the transaction of the change, with the customer locked."""

    def bill_start(self, subscription: Subscription, *, at: datetime, prorate: bool) -> None:
        """Invoice what a new subscription owes in advance; `prorate` False leaves a stub period free."""

    def bill_due(self, subscription: Subscription, *, at: datetime) -> None:
        """Close the periods that have ended by `at`, so that a change begins from an up-to-date state."""

    def bill_end(self, subscription: Subscription, *, at: datetime, invoice_now: bool) -> None:
        """Close the open periods of a subscription that ends now, and invoice their usage or discard it."""

    def add_pending(self, subscription: Subscription, items: Sequence[PendingItem], *, at: datetime) -> list[str]:
        """Keep amounts for the next invoice; their ids, in their order."""

    def invoice_now(self, subscription: Subscription, *, at: datetime, reason: str = "subscription_update") -> None:
        """Invoice at once what waits: pending items, metered slices that were cut off, open licensed slices not billed."""

    def billed_for(self, periods: Sequence[ItemPeriod]) -> Mapping[int, Billed]:
        """What was billed for licensed slices, by the slice's key; one for which nothing was is not there."""

    def outstanding_credit(
        self, item: SubscriptionItem, *, price: Price, quantity: Decimal, period: Period
    ) -> int | None:
        """The amount of a credit for just this that no later debit has undone."""

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
