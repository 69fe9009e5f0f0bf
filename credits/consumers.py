"""What takes from grants besides the ledger: whoever writes the invoices knows, which is an app above this one."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol


class Consumers(Protocol):
    """Amounts are whole minor units of the grant's currency, or a quantity of its meter."""

    def on_drafts(self, customer_ids: Sequence[str]) -> Mapping[str, Decimal]:
        """What draft invoices of these customers show as used, by grant. Two drafts may show the same credits."""


_consumers: list[Consumers] = []


def use(consumers: Consumers) -> None:
    """Name who knows; called once, from `AppConfig.ready`."""
    _consumers[:] = [consumers]


def consumers() -> Consumers:
    return _consumers[0]
