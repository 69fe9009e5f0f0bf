"""What takes from grants besides the ledger: whoever writes the invoices knows, which is an app above this one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol


class Consumers(Protocol):
    """Amounts are whole minor units of the grant's currency, or a quantity of its meter."""

    def on_drafts(self, customer_ids: Sequence[str]) -> Mapping[str, Decimal]:
        """What draft invoices of these customers show as used, by grant. Two drafts may show the same credits."""

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
