"""What `docs/stripe-compatibility.md` says in words: where ours differs on purpose, and why something is not there."""

_CHARGED = "nothing is charged by itself: an invoice is paid with `paid_out_of_band`"
_IDENTIFIER = (
    "refused again for 58 days, where Stripe promises 24 hours; the first answer is repeated to the SDK's retries"
)
_TAX_CODE = "kept and shown; taxes are not computed from it"

# (pattern of calls, parameter) -> how ours differs. A test finds those that are about nothing.
DIFFERENCES = {
    ("billing.meter_events.create", "identifier"): _IDENTIFIER,
    ("v2.billing.meter_events.create", "identifier"): _IDENTIFIER,
    ("invoices.pay", "paid_out_of_band"): "has to be `true`: money is not moved",
    ("products.*", "tax_code"): _TAX_CODE,
    ("prices.create", "product_data[tax_code]"): _TAX_CODE,
    ("subscriptions.create", "collection_method"): _CHARGED,
    ("subscriptions.update", "collection_method"): _CHARGED,
}

_CONNECT = "accounts within accounts (Connect) do not exist here"
_PAYMENTS = "payments are not collected here"
_TAX_ENGINE = "there is no tax engine; taxes come from tax rates"

# A part of a parameter's name -> why parameters with it are refused.
REASONS = {
    "account_tax_ids": "tax ids are not kept",
    "application_fee_amount": _CONNECT,
    "application_fee_percent": _CONNECT,
    "automatic_tax": _TAX_ENGINE,
    "billing_schedules": "billing ahead for several periods is not there",
    "cash_balance": _PAYMENTS,
    "custom_unit_amount": "for payment pages, which are not there",
    "customer_account": _CONNECT,
    "default_payment_method": _PAYMENTS,
    "default_source": _PAYMENTS,
    "forgive": _PAYMENTS,
    "issuer": _CONNECT,
    "managed_payments": _PAYMENTS,
    "mandate": _PAYMENTS,
    "off_session": _PAYMENTS,
    "on_behalf_of": _CONNECT,
    "package_dimensions": "nothing is shipped",
    "payment_behavior": _PAYMENTS,
    "payment_method": _PAYMENTS,
    "payment_settings": _PAYMENTS,
    "plan": "plans are prices: use `price`",
    "source": _PAYMENTS,
    "tax": _TAX_ENGINE,
    "tax_details": _TAX_ENGINE,
    "tax_id_data": "tax ids are not kept",
    "transfer_data": _CONNECT,
    "trial_from_plan": "plans are prices, which have no trial of their own",
    "validate": _PAYMENTS,
}

# A call, or the beginning of the names of several -> why it is not there.
ABSENT = {
    "customers.cash_balance": _PAYMENTS,
    "customers.funding_instructions": _PAYMENTS,
    "customers.payment_": _PAYMENTS,
    "customers.tax_ids": "tax ids are not kept",
    "invoices.attach_payment": _PAYMENTS,
    "products.features": "entitlements are not there",
}

# A part of the address of a method that is only ours -> what to say of it.
OURS = {"/usage_record": "as Stripe had it before 2025-03-31.basil, for prices without a meter"}
