"""What a preview of an invoice may ask for: a change of a subscription, or a new one, and what else is to be on it."""

from api import params
from api.params import Params
from customers.models import Customer
from customers.serializers import AddressParams, ShippingParams
from invoices.item_serializers import ChargeParams, ItemPriceParams
from pricing.discount_serializers import DiscountParams
from pricing.models import Price
from subscriptions.serializers import BillingModeParams, ChangeItemParams


class CustomerDetailsParams(Params):
    later = ("tax", "tax_ids")

    address = params.Hash(AddressParams, unset=True)
    shipping = params.Hash(ShippingParams, unset=True)
    tax_exempt = params.Choice(Customer.TaxExempt, unset=True)


class InvoiceItemParams(ChargeParams):
    later = ("tax_code",)

    currency = params.String(max_length=3)
    invoiceitem = params.String()
    price = params.String()
    price_data = params.Hash(ItemPriceParams)
    tax_behavior = params.Choice(Price.TaxBehavior)
    unit_amount = params.Integer()
    unit_amount_decimal = params.DecimalNumber()


class AnchorParams(Params):
    """`timestamp` is for a new subscription."""

    timestamp = params.UnixTime()
    type = params.Choice(["now", "timestamp", "unchanged"], required=True)


class SubscriptionDetailsParams(Params):
    later = ("billing_schedules", "pause")

    billing_cycle_anchor = params.Hash(AnchorParams, words=("now", "unchanged"))
    billing_mode = params.Hash(BillingModeParams)
    cancel_at = params.UnixTime(unset=True, words=("min_period_end", "max_period_end", "max_billed_until"))
    cancel_at_period_end = params.Boolean()
    cancel_now = params.Boolean()
    default_tax_rates = params.Array(params.String(), unset=True)
    items = params.Array(ChangeItemParams, max_length=20)
    metadata = params.MetadataParam()
    proration_behavior = params.Choice(["create_prorations", "always_invoice", "none"])
    proration_date = params.UnixTime()
    resume_at = params.Choice(["now"])
    start_date = params.UnixTime()
    trial_end = params.UnixTime(words=("now",))


class PreviewInvoice(Params):
    later = ("automatic_tax", "customer_account", "issuer", "on_behalf_of", "schedule_details")

    currency = params.String(max_length=3)
    customer = params.String()
    customer_details = params.Hash(CustomerDetailsParams)
    discounts = params.Array(DiscountParams, unset=True)
    invoice_items = params.Array(InvoiceItemParams, max_length=250)
    preview_mode = params.Choice(["next", "recurring"])
    schedule = params.String()
    subscription = params.String()
    subscription_details = params.Hash(SubscriptionDetailsParams)
