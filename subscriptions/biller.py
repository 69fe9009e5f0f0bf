"""What a subscription needs of whoever writes the invoices, which is an app above this one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from subscriptions.models import ItemPeriod, Subscription


class Biller(Protocol):
    """Those that change something are called inside the transaction of the change, with the customer locked."""

    def bill_start(self, subscription: Subscription, *, at: datetime, prorate: bool) -> None:
        """Invoice what a new subscription owes in advance; `prorate` False leaves a stub period free."""

    def bill_due(self, subscription: Subscription, *, at: datetime) -> None:
        """Close the periods that have ended by `at`, so that a change begins from an up-to-date state."""

    def bill_end(self, subscription: Subscription, *, at: datetime, invoice_now: bool) -> None:
        """Close the open periods of a subscription that ends now, and invoice their usage or discard it."""

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
