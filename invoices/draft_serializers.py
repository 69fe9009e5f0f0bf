"""What making and changing a draft takes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from api import params
from api.params import Params
from customers.serializers import CustomFieldParams
from pricing.discount_serializers import DiscountParams
from subscriptions.models import Subscription


class DraftParams(Params):
    """What creating and updating an invoice share."""

    later: ClassVar[Sequence[str]] = (
        "account_tax_ids",
        "application_fee_amount",
        "automatic_tax",
        "default_payment_method",
        "default_source",
        "issuer",
        "on_behalf_of",
        "payment_settings",
        "rendering",
        "shipping_cost",
        "shipping_details",
        "transfer_data",
    )

    auto_advance = params.Boolean()
    automatically_finalizes_at = params.UnixTime(unset=True)
    collection_method = params.Choice(Subscription.CollectionMethod)
    custom_fields = params.Array(CustomFieldParams, max_length=4, unset=True)
    days_until_due = params.Integer(minimum=0, maximum=365 * 10)
    default_tax_rates = params.Array(params.String(max_length=64), max_length=20, unset=True)
    description = params.String(unset=True)
    discounts = params.Array(DiscountParams, unset=True)
    due_date = params.UnixTime()
    effective_at = params.UnixTime(unset=True)
    footer = params.String(unset=True)
    metadata = params.MetadataParam()
    number = params.String(max_length=26, unset=True)
    statement_descriptor = params.String(max_length=22, unset=True)


class FromInvoiceParams(Params):
    action = params.Choice(["revision"], required=True)
    invoice = params.String(required=True)


class CreateInvoice(DraftParams):
    later = (*DraftParams.later, "customer_account")

    currency = params.String(max_length=3)
    customer = params.String()
    from_invoice = params.Hash(FromInvoiceParams)
    pending_invoice_items_behavior = params.Choice(["exclude", "include"])
    subscription = params.String()


class UpdateInvoice(DraftParams):
    pass


TEXTS = ("description", "footer", "statement_descriptor")
PLAIN = (
    "auto_advance",
    "automatically_finalizes_at",
    "collection_method",
    "custom_fields",
    "days_until_due",
    "default_tax_rates",
    "due_date",
    "effective_at",
    "number",
)


def draft_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, metadata and discounts that parameters ask for, as the verbs take them."""
    changes = {name: given[name] for name in PLAIN if name in given}
    changes |= {name: given[name] or "" for name in TEXTS if name in given}
    discounts = (given["discounts"] or []) if "discounts" in given else None
    return {"changes": changes, "metadata": given.get("metadata"), "discounts": discounts}
