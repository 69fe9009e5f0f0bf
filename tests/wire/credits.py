"""What tests of credits begin with: a customer on a clock who pays for calls, and has grants."""

from dataclasses import dataclass
from typing import Any

from tests.wire.client import Wire, unix

JAN, FEB, MAR = unix(2026), unix(2026, 2), unix(2026, 3)
HOUR = 3600
METERED = {"scope": {"price_type": "metered"}}


def money(value: Any = 1000, currency: str = "usd") -> dict[str, Any]:
    return {"type": "monetary", "monetary": {"currency": currency, "value": value}}


def scope(*prices: Any) -> dict[str, Any]:
    return {"scope": {"prices": [{"id": price.id} for price in prices]}}


def grant(wire: Wire, customer: Any, value: Any = 1000, currency: str = "usd", **fields: Any) -> Any:
    given = {"customer": customer.id, "amount": money(value, currency), "applicability_config": METERED}
    return wire.v1.billing.credit_grants.create(given | fields)


def units(wire: Wire, customer: Any, meter: Any, quantity: str, **fields: Any) -> Any:
    amount = {"type": "usage", "usage": {"meter": meter.id, "quantity": quantity}}
    given = {"customer": customer.id, "amount": amount, "applicability_config": METERED}
    return wire.v1.billing.credit_grants.create(given | fields)


def summary(wire: Wire, customer: Any, *prices: Any, grant: Any = None) -> Any:
    """Of a grant, of the usage of prices, or of all metered usage."""
    asked: dict[str, Any] = {"type": "applicability_scope", "applicability_scope": METERED["scope"]}
    if prices:
        asked["applicability_scope"] = scope(*prices)["scope"]
    if grant:
        asked = {"type": "credit_grant", "credit_grant": grant.id}
    return wire.v1.billing.credit_balance_summary.retrieve({"customer": customer.id, "filter": asked})


def balance(wire: Wire, customer: Any, *prices: Any, grant: Any = None) -> tuple[int, int]:
    """(available, ledger) in the only currency."""
    [one] = summary(wire, customer, *prices, grant=grant).balances
    return one.available_balance.monetary.value, one.ledger_balance.monetary.value


def booked(wire: Wire, grant: Any) -> list[tuple[str, int]]:
    """(type, amount) of the transactions of a grant, oldest first; below zero a debit."""
    rows = wire.v1.billing.credit_balance_transactions.list({"credit_grant": grant.id, "limit": 100}).data[::-1]
    found = []
    for row in rows:
        side, sign = (row.credit, 1) if row.type == "credit" else (row.debit, -1)
        found.append((side.type, sign * side.amount.monetary.value))
    return found


@dataclass(frozen=True)
class Account:
    """A customer on a clock, in January, with a subscription to calls at 5 cents."""

    wire: Wire
    clock: Any
    customer: Any
    meter: Any
    price: Any
    subscription: Any

    def use(self, quantity: int, at: int = JAN) -> None:
        self.wire.send(self.meter, self.customer, str(quantity), at=at)

    def to_draft(self) -> Any:
        """The invoice of January, before it is final."""
        self.wire.advance(self.clock, FEB + 60)
        return self.wire.invoices(self.customer)[-1]

    def to_final(self) -> Any:
        self.wire.advance(self.clock, FEB + HOUR)
        return self.wire.invoices(self.customer)[-1]

    def grant(self, value: int = 1000, **fields: Any) -> Any:
        return grant(self.wire, self.customer, value, **fields)


def account(wire: Wire, *more: Any, price: Any = None, meter: Any = None, **fields: Any) -> Account:
    """`more` are further prices of the subscription."""
    clock, meter = wire.clock(), meter or wire.meter()
    customer = wire.customer(clock)
    price = price or wire.price(meter)
    subscription = wire.subscribe(customer, price, *more, **fields)
    return Account(wire, clock, customer, meter, price, subscription)
