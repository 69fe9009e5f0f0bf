"""What is asked of a kind of alert, and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from alerts.models import Alert
from customers.aliases import Owner
from meters.records import Checked
from subscriptions.periods import Period


class Pair(NamedTuple):
    """An alert and one of the customers that it is about. `news`: the usage that has just come, where it is why."""

    alert: Alert
    customer: Owner
    news: Sequence[Checked] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """A pair, and the time whose usage, spend or whatever is looked at. `key` tells periods apart: an alert fires once
    in each; None where it fires once for all."""

    pair: Pair
    window: Period
    key: Period | None = None

    @property
    def alert(self) -> Alert:
        return self.pair.alert

    @property
    def customer(self) -> Owner:
        return self.pair.customer


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found: the value that is held against the threshold, and, asked only if it fires, what it is made of, as
    JSON.

    `group`: of which value of a dimension, where each is looked at by itself.
    """

    value: Decimal
    why: Callable[[], Mapping[str, Any]]
    group: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of alert.

    `ask` says which time each pair is about and leaves out those for which there is nothing to look at; `read` finds
    the values, for all at once. `falls`: it fires at or below the threshold, not at or above it.

    When it is looked at: as usage comes (`by_usage`), when a balance or an invoice has changed (`by_balance`), and as
    time passes (`by_time`).
    """

    name: str
    label: str
    explanation: str
    ask: Callable[[Sequence[Pair], datetime], list[Ask]]
    read: Callable[[Sequence[Ask], datetime], list[list[Reading]]]
    by_usage: bool = True
    by_balance: bool = False
    by_time: bool = False
    falls: bool = False
    has_meter: bool = False
    has_currency: bool = False
    unit: str = ""
    verb: str = "came to"  # in a sentence, between the label and the value

    def crosses(self, value: Decimal, threshold: Decimal) -> bool:
        return value <= threshold if self.falls else value >= threshold
