"""Customers and test clocks on the wire: what a call may say, and what an object looks like."""

from collections.abc import Mapping
from typing import Any

from api import objects, params
from api.params import ListParams, Params
from core.money import MAX_AMOUNT
from customers.aliases import LONGEST, MOST_ALIASES
from customers.balance import invoice_credit_balance
from customers.models import MOST_GRACE_SECONDS, Customer, TestClock


class AddressParams(Params):
    city = params.String(unset=True)
    country = params.String(unset=True)
    line1 = params.String(unset=True)
    line2 = params.String(unset=True)
    postal_code = params.String(unset=True)
    state = params.String(unset=True)


class ShippingParams(Params):
    address = params.Hash(AddressParams, required=True)
    name = params.String(required=True)
    phone = params.String(unset=True)


class CustomFieldParams(Params):
    name = params.String(required=True, max_length=40)
    value = params.String(required=True, max_length=140)


class InvoiceSettingsParams(Params):
    later = ("default_payment_method", "rendering_options")

    custom_fields = params.Array(CustomFieldParams, unset=True, max_length=4)
    footer = params.String(unset=True)


class CustomerParams(Params):
    """What creating and updating a customer share."""

    later = (
        "business_name",
        "cash_balance",
        "default_source",
        "individual_name",
        "payment_method",
        "source",
        "tax",
        "tax_id_data",
        "validate",
    )

    address = params.Hash(AddressParams, unset=True)
    balance = params.Integer(minimum=-MAX_AMOUNT, maximum=MAX_AMOUNT)
    description = params.String(unset=True)
    email = params.String(unset=True, max_length=512)
    external_id = params.String(unset=True, max_length=LONGEST)  # ours
    ingest_aliases = params.Array(params.String(max_length=LONGEST), unset=True, max_length=MOST_ALIASES)  # ours
    invoice_grace_seconds = params.Integer(minimum=0, maximum=MOST_GRACE_SECONDS, unset=True)  # ours
    invoice_prefix = params.String(max_length=12)
    invoice_settings = params.Hash(InvoiceSettingsParams)
    late_usage = params.Choice(Customer.LateUsage, unset=True)  # ours
    metadata = params.MetadataParam()
    name = params.String(unset=True, max_length=256)
    next_invoice_sequence = params.Integer(minimum=1, maximum=1_000_000_000)
    phone = params.String(unset=True, max_length=20)
    preferred_locales = params.Array(params.String(max_length=10), max_length=20, unset=True)
    shipping = params.Hash(ShippingParams, unset=True)
    tax_exempt = params.Choice(Customer.TaxExempt, unset=True)


class CreateCustomer(CustomerParams):
    test_clock = params.String()


class UpdateCustomer(CustomerParams):
    pass


class ListCustomers(ListParams):
    created = params.TimeRange()
    email = params.String(max_length=512)
    external_id = params.String(max_length=LONGEST)  # ours
    test_clock = params.String()


class Hash(objects.WireField):
    """A hash kept as it was given, on the wire with every key of `params`; null where there is none."""

    schema_type = {"type": ["object", "null"]}

    def __init__(self, params_class: type[Params], **kwargs: Any) -> None:
        self.params = params_class
        super().__init__(**kwargs)

    def to_representation(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return complete(value, self.params)


def complete(value: Mapping[str, Any], params_class: type[Params]) -> dict[str, Any]:
    """`value` with null for each key of `params_class` that it lacks, also in the hashes within."""
    filled: dict[str, Any] = {}
    for name, field in params_class._declared_fields.items():
        inner = value.get(name)
        filled[name] = complete(inner, field.params) if inner and isinstance(field, params.Hash) else inner
    return filled


class InvoiceSettingsObject(objects.Object):
    custom_fields = objects.Json(source="invoice_custom_fields")
    default_payment_method = objects.Const(None)
    footer = objects.Text(source="invoice_footer")
    rendering_options = objects.Const(None)


class InvoiceCreditBalance(objects.WireField):
    """The balance by currency; unlike `balance`, above zero it is credit."""

    schema_type = {"type": "object", "additionalProperties": {"type": "integer"}}

    def to_representation(self, value: Customer) -> dict[str, int]:
        return invoice_credit_balance(value)


class CustomerObject(objects.Object):
    id = objects.Text()
    object = objects.Const("customer")
    address = Hash(AddressParams)
    balance = objects.Integer()
    created = objects.UnixTime(source="created_at")
    currency = objects.Text()
    customer_account = objects.Const(None)
    default_source = objects.Const(None)
    delinquent = objects.Const(False)
    description = objects.Text()
    discount = objects.FilledIn()
    email = objects.Text()
    external_id = objects.Text()
    ingest_aliases = objects.Json()
    invoice_credit_balance = InvoiceCreditBalance(source="*")
    invoice_grace_seconds = objects.Integer()
    invoice_prefix = objects.Text()
    invoice_settings = InvoiceSettingsObject(source="*")
    late_usage = objects.Text()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    name = objects.Text()
    next_invoice_sequence = objects.Integer()
    phone = objects.Text()
    preferred_locales = objects.Json()
    shipping = Hash(ShippingParams)
    tax_exempt = objects.Text()
    test_clock = objects.ObjectId(source="test_clock_id")


class UpdateBalanceTransaction(Params):
    description = params.String(unset=True, max_length=350)
    metadata = params.MetadataParam()


class CreateBalanceTransaction(UpdateBalanceTransaction):
    amount = params.Integer(required=True, minimum=-MAX_AMOUNT, maximum=MAX_AMOUNT)
    currency = params.String(required=True, max_length=3)


class ListBalanceTransactions(ListParams):
    created = params.TimeRange()
    invoice = params.String()


class BalanceTransactionObject(objects.Object):
    id = objects.Text()
    object = objects.Const("customer_balance_transaction")
    amount = objects.Integer()
    checkout_session = objects.Text()
    created = objects.UnixTime(source="created_at")
    credit_note = objects.Text()
    currency = objects.Text()
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    description = objects.Text()
    ending_balance = objects.Integer()
    invoice = objects.Text()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    type = objects.Text()


class CreateTestClock(Params):
    later = ("customer",)

    frozen_time = params.UnixTime(required=True)
    name = params.String(max_length=300)


class AdvanceTestClock(Params):
    frozen_time = params.UnixTime(required=True)


class AdvancingObject(objects.Object):
    target_frozen_time = objects.UnixTime()


class StatusDetailsObject(objects.Object):
    """`advancing` is there only while the clock advances."""

    advancing = AdvancingObject(source="*")

    def to_representation(self, instance: TestClock) -> dict[str, object]:
        return super().to_representation(instance) if instance.status == TestClock.Status.ADVANCING else {}


class TestClockObject(objects.Object):
    __test__ = False

    id = objects.Text()
    object = objects.Const("test_helpers.test_clock")
    created = objects.UnixTime(source="created_at")
    deletes_after = objects.UnixTime()
    frozen_time = objects.UnixTime()
    livemode = objects.Livemode()
    name = objects.Text()
    status = objects.Text()
    status_details = StatusDetailsObject(source="*")
