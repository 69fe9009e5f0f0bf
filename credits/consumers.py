"""What takes from grants besides the ledger: whoever writes the invoices knows, which is an app above this one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from credits.available import Held
from customers.models import Customer

Unit = tuple[str, str | None]  # a currency, or "" and a meter


@dataclass(frozen=True)
class Standing:
    """How a customer stands with its open usage and some holds.

    `live`: what is left of each grant that can be used now, and `balances` the same by unit. `uncovered`: by currency
    what no invoice has billed yet of the running periods, and no credit would pay. `unpriced`: meters of holds that
    have no price now.
    """

    live: Mapping[str, Decimal]
    balances: Mapping[Unit, Decimal]
    uncovered: Mapping[str, int]
    unpriced: frozenset[str]


class OpenUsage(Protocol):
    """What a customer has used that no final invoice has billed, as it was read."""

    @property
    def holds(self) -> Sequence[Held]:
        """What is set aside now."""

    def standing(self, holds: Sequence[Held]) -> Standing:
        """How the customer stands if this is set aside."""


class Consumers(Protocol):
    """Amounts are whole minor units of the grant's currency, or a quantity of its meter."""

    def on_drafts(self, customer_ids: Sequence[str]) -> Mapping[str, Decimal]:
        """What draft invoices of these customers show as used, by grant. Two drafts may show the same credits."""

    def open_usage(self, customers: Sequence[Customer], *, at: datetime) -> Mapping[str, OpenUsage]:
        """By customer, with every event acknowledged before this call. `at` is real time."""

    def unbilled_until(self, customer_id: str, until: datetime) -> str:
        """What no final invoice has billed yet of the time of a customer until an instant, in words; "" if all is.

        The caller holds the customer's lock.
        """


_consumers: list[Consumers] = []


def use(consumers: Consumers) -> None:
    """Name who knows; called once, from `AppConfig.ready`."""
    _consumers[:] = [consumers]


def consumers() -> Consumers:
    return _consumers[0]
