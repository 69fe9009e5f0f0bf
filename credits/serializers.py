"""Credit grants, their transactions and balances on the wire. Units of a meter, reasons, and what recurs, are ours."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from api import objects, params
from api.params import ListParams, Params
from core.errors import InvalidRequest, ParameterMissing, ParametersExclusive
from core.money import plain
from credits.models import LOWEST_PRIORITY, MOST_PRICES, CreditGrant, CreditTransaction, RecurringCreditGrant
from credits.summary import Balance

Type = CreditTransaction.Type
SCOPES = ("applicability_scope", "credit_grant")
AMOUNTS = ("monetary", "usage")


class MonetaryParams(Params):
    currency = params.String(required=True)
    value = params.Amount(required=True, minimum=1)


class UsageParams(Params):
    """Units of a meter; not of Stripe."""

    meter = params.String(required=True)
    quantity = params.PositiveDecimal(required=True)


class AmountParams(Params):
    monetary = params.Hash(MonetaryParams)
    type = params.Choice(AMOUNTS, required=True)
    usage = params.Hash(UsageParams)  # ours


class PriceParams(Params):
    id = params.String(required=True)


class ScopeParams(Params):
    later = ("billable_items",)

    price_type = params.Choice(CreditGrant.PriceType)
    prices = params.Array(PriceParams, max_length=MOST_PRICES)


class ApplicabilityParams(Params):
    scope = params.Hash(ScopeParams, required=True)


class CreateGrant(Params):
    later = ("customer_account",)

    amount = params.Hash(AmountParams, required=True)
    applicability_config = params.Hash(ApplicabilityParams, required=True)
    category = params.Choice(CreditGrant.Category, default=CreditGrant.Category.PAID)
    customer = params.String(required=True)
    effective_at = params.UnixTime()
    expires_at = params.UnixTime()
    metadata = params.MetadataParam()
    name = params.String(max_length=100)
    priority = params.Integer(minimum=0, maximum=LOWEST_PRIORITY, default=50)


class UpdateGrant(Params):
    expires_at = params.UnixTime(unset=True)
    metadata = params.MetadataParam()


class EndGrant(Params):
    reason = params.String(max_length=500)  # ours


class ListGrants(ListParams):
    later = ("customer_account",)

    customer = params.String()
    recurring_credit_grant = params.String()  # ours


class ListTransactions(ListParams):
    later = ("customer_account",)

    credit_grant = params.String()
    customer = params.String()


class FilterParams(Params):
    applicability_scope = params.Hash(ScopeParams)
    credit_grant = params.String()
    type = params.Choice(SCOPES, required=True)


class RetrieveSummary(Params):
    later = ("customer_account",)

    customer = params.String(required=True)
    filter = params.Hash(FilterParams, required=True)


def only_one(given: Mapping[str, Any], names: tuple[str, ...], param: str) -> Any:
    """The value of the one of `names` that `type` says; the others may not be there."""
    kind = given["type"]
    for name in names:
        if name != kind and name in given:
            raise InvalidRequest(f"{param}[{name}] is not valid for the type {kind}.", param=f"{param}[{name}]")
    if kind not in given:
        raise ParameterMissing(f"{param}[{kind}]")
    return given[kind]


def prices_of(scope: Mapping[str, Any], param: str) -> list[str] | None:
    """The ids of the prices that a scope names; None: every metered price."""
    if "price_type" in scope and "prices" in scope:
        raise ParametersExclusive("You may only specify one of these parameters: price_type, prices.", param=param)
    if "price_type" in scope:
        return None
    if not scope.get("prices"):
        raise ParameterMissing(f"{param}[price_type]", "You must provide price_type or prices.")
    return [price["id"] for price in scope["prices"]]


def amount_of(value: Decimal, currency: str, meter: str | None) -> dict[str, Any]:
    """Money as Stripe shows it, or units of a meter."""
    if meter is None:
        return {"monetary": {"currency": currency, "value": int(value)}, "type": "monetary"}
    return {"monetary": None, "type": "usage", "usage": {"meter": meter, "quantity": plain(value)}}


def amount_given(given: Mapping[str, Any]) -> dict[str, Any]:
    """Money, or units of a meter, as fields of what is to be granted."""
    amount = only_one(given, AMOUNTS, "amount")
    if given["type"] == "usage":
        return {"amount": amount["quantity"], "meter": amount["meter"]}
    return {"amount": Decimal(amount["value"]), "currency": amount["currency"].lower()}


class AmountObject(objects.WireField):
    schema_type = {"type": "object"}

    def to_representation(self, value: CreditGrant | RecurringCreditGrant) -> dict[str, Any]:
        return amount_of(value.amount, value.currency, value.meter_id)


class ScopeObject(objects.WireField):
    schema_type = {"type": "object"}

    def to_representation(self, value: CreditGrant | RecurringCreditGrant) -> dict[str, Any]:
        every = {"price_type": CreditGrant.PriceType.METERED.value}
        return {"scope": {"prices": [{"id": id} for id in value.prices]} if value.prices else every}


class GrantObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.credit_grant")
    amount = AmountObject(source="*")
    applicability_config = ScopeObject(source="*")
    category = objects.Text()
    created = objects.UnixTime(source="created_at")
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    effective_at = objects.UnixTime()
    expires_at = objects.UnixTime()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    name = objects.Text()
    priority = objects.Integer()
    recurring_credit_grant = objects.ObjectId(source="recurring_id")
    rolled_over_from = objects.ObjectId(source="rolled_over_from_id")
    test_clock = objects.ObjectId(source="customer.test_clock_id")
    updated = objects.UnixTime(source="updated_at")
    voided_at = objects.UnixTime()


class SideObject(objects.WireField):
    """What a transaction adds or takes; null in the other one of `credit` and `debit`."""

    schema_type = {"type": ["object", "null"]}

    def __init__(self, *, credit: bool, of_lines: str) -> None:
        self.credit, self.of_lines = credit, of_lines
        super().__init__(source="*")

    def to_representation(self, value: CreditTransaction) -> dict[str, Any] | None:
        if value.is_credit != self.credit:
            return None
        line = {"invoice": value.invoice, "invoice_line_item": value.invoice_line}
        return {
            "amount": amount_of(value.size, value.grant.currency, value.grant.meter_id),
            self.of_lines: line if value.type == self.of_lines else None,
            "type": value.type,
        }


class CreditOrDebit(objects.WireField):
    def to_representation(self, value: CreditTransaction) -> str:
        return "credit" if value.is_credit else "debit"


class TransactionObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.credit_balance_transaction")
    created = objects.UnixTime(source="created_at")
    credit = SideObject(credit=True, of_lines=Type.CREDITS_APPLICATION_INVOICE_VOIDED.value)
    credit_grant = objects.ObjectId(source="grant_id")
    customer = objects.ObjectId(source="customer_id")  # ours
    debit = SideObject(credit=False, of_lines=Type.CREDITS_APPLIED.value)
    effective_at = objects.UnixTime()
    livemode = objects.Livemode()
    reason = objects.Text()  # ours
    test_clock = objects.ObjectId(source="customer.test_clock_id")
    type = CreditOrDebit(source="*")


class BalancesObject(objects.WireField):
    schema_type = {"type": "array", "items": {"type": "object"}}

    def to_representation(self, value: list[Balance]) -> list[dict[str, Any]]:
        return [
            {
                "available_balance": amount_of(one.available, one.currency, one.meter),
                "ledger_balance": amount_of(one.ledger, one.currency, one.meter),
                "live_balance": amount_of(one.live, one.currency, one.meter),
            }
            for one in value
        ]


class SummaryObject(objects.Object):
    object = objects.Const("billing.credit_balance_summary")
    balances = BalancesObject()
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    livemode = objects.Livemode()
