"""Schedules of subscriptions on the wire."""

from collections.abc import Mapping, Sequence
from typing import Any

from api import objects
from pricing.models import TaxRate
from pricing.tax_serializers import TaxRateObject
from subscriptions.models import SubscriptionSchedule

_NO_TAX = {"disabled_reason": None, "enabled": False, "liability": None}
_DISCOUNT = ("coupon", "discount", "promotion_code")


class Thresholds(objects.Json):
    def to_representation(self, value: Mapping[str, Any]) -> Any:
        if not value:
            return None
        return {
            "amount_gte": value.get("amount_gte"),
            "reset_billing_cycle_anchor": value.get("reset_billing_cycle_anchor", False),
        }


class InvoiceSettings(objects.Json):
    def to_representation(self, value: Mapping[str, Any]) -> Any:
        return {
            "account_tax_ids": None,
            "custom_fields": value.get("custom_fields"),
            "days_until_due": value.get("days_until_due"),
            "description": value.get("description"),
            "footer": value.get("footer"),
            "issuer": {"type": "self"},
        }


class Discounts(objects.Json):
    """Which discounts a phase asks for; none where it says nothing of them."""

    schema_type = {"type": "array"}

    def get_attribute(self, instance: Any) -> Any:
        return super().get_attribute(instance) or []

    def to_representation(self, value: Sequence[Mapping[str, str]]) -> Any:
        return [{name: wish.get(name) for name in _DISCOUNT} for wish in value]


class ScheduleBillingModeObject(objects.Object):
    def to_representation(self, instance: SubscriptionSchedule) -> Any:
        flexible = instance.billing_mode == SubscriptionSchedule.BillingMode.FLEXIBLE
        return {
            "flexible": {"proration_discounts": instance.proration_discounts} if flexible else None,
            "type": instance.billing_mode,
        }


class CurrentPhaseObject(objects.Object):
    end_date = objects.UnixTime()
    start_date = objects.UnixTime()


class DefaultSettingsObject(objects.Object):
    """`source` is the hash that a schedule keeps, which has only what was given."""

    def to_representation(self, instance: Mapping[str, Any]) -> Any:
        return {
            "application_fee_percent": None,
            "automatic_tax": dict(_NO_TAX),
            "billing_cycle_anchor": instance.get("billing_cycle_anchor", "automatic"),
            "billing_thresholds": Thresholds().to_representation(instance.get("billing_thresholds", {})),
            "collection_method": instance.get("collection_method", "charge_automatically"),
            "default_payment_method": None,
            "description": instance.get("description") or None,
            "invoice_settings": InvoiceSettings().to_representation(instance.get("invoice_settings", {})),
            "on_behalf_of": None,
            "transfer_data": None,
        }


class PhaseItems(objects.Json):
    """The items of a phase; those by usage have no quantity."""

    schema_type = {"type": "array"}

    def to_representation(self, value: Sequence[Mapping[str, Any]]) -> Any:
        return [
            {
                "billing_thresholds": item["billing_thresholds"],
                "discounts": Discounts().to_representation(item["discounts"]),
                "metadata": dict(item["metadata"]),
                "plan": item["price"],
                "price": item["price"],
                **({} if item["quantity"] is None else {"quantity": item["quantity"]}),
                "tax_rates": item["tax_rates"],
            }
            for item in value
        ]


class AddedItems(objects.Json):
    """What is billed once when a phase begins, for the time of the phase."""

    schema_type = {"type": "array"}

    def to_representation(self, value: Sequence[Mapping[str, Any]]) -> Any:
        return [
            {
                "discountable": item["discountable"],
                "discounts": Discounts().to_representation(item["discounts"]),
                "metadata": dict(item["metadata"]),
                "period": item["period"],
                "price": item["price"],
                "quantity": item["quantity"],
                "tax_rates": item["tax_rates"],
            }
            for item in value
        ]


class PhaseObject(objects.Object):
    add_invoice_items = AddedItems()
    application_fee_percent = objects.Const(None)
    automatic_tax = objects.Fixed(_NO_TAX)
    billing_cycle_anchor = objects.Text()
    billing_thresholds = Thresholds()
    collection_method = objects.Text()
    currency = objects.Text()
    default_payment_method = objects.Const(None)
    default_tax_rates = objects.Json()
    description = objects.Text()
    discounts = Discounts()
    end_date = objects.UnixTime()
    invoice_settings = InvoiceSettings()
    items = PhaseItems()
    metadata = objects.Metadata()
    on_behalf_of = objects.Const(None)
    proration_behavior = objects.Text()
    start_date = objects.UnixTime()
    transfer_data = objects.Const(None)
    trial = objects.Boolean()
    trial_end = objects.UnixTime()


class ScheduleObject(objects.Object):
    id = objects.Text()
    object = objects.Const("subscription_schedule")
    application = objects.Const(None)
    billing_mode = ScheduleBillingModeObject(source="*")
    canceled_at = objects.UnixTime()
    completed_at = objects.UnixTime()
    created = objects.UnixTime(source="created_at")
    current_phase = CurrentPhaseObject()
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    default_settings = DefaultSettingsObject()
    end_behavior = objects.Text()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    pause_schedules = objects.Fixed([])
    phases = PhaseObject(many=True)
    released_at = objects.UnixTime()
    released_subscription = objects.Text(source="released_subscription_id")
    status = objects.Text()
    subscription = objects.ObjectId(source="subscription_id")
    test_clock = objects.ObjectId(source="customer.test_clock_id")

    def to_representation(self, instance: SubscriptionSchedule) -> dict[str, Any]:
        shown = super().to_representation(instance)
        _show_tax_rates(shown["phases"])
        return shown


def _show_tax_rates(phases: Sequence[dict[str, Any]]) -> None:
    """Put tax rates where phases have their ids: they are always shown whole."""
    holders = [(phase, "default_tax_rates") for phase in phases if phase["default_tax_rates"]]
    for phase in phases:
        holders += [(one, "tax_rates") for one in (*phase["items"], *phase["add_invoice_items"]) if one["tax_rates"]]
    if not holders:
        return
    found = TaxRate.objects.in_bulk({id for holder, key in holders for id in holder[key]})
    for holder, key in holders:
        holder[key] = [TaxRateObject().to_representation(found[id]) for id in holder[key]]
