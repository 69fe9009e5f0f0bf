"""Every parameter that the SDK's types offer for our calls is either taken or refused by name, never ignored."""

import typing
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import pytest
import requests
from stripe._request_options import RequestOptions
from typing_extensions import is_typeddict

from tests.wire.client import Wire, invalid

# (method, address, module and class of the SDK's parameters)
CALLS = [
    ("POST", "/v1/customers", "_customer_create_params.CustomerCreateParams"),
    ("POST", "/v1/customers/x", "_customer_modify_params.CustomerModifyParams"),
    ("GET", "/v1/customers", "_customer_list_params.CustomerListParams"),
    (
        "POST",
        "/v1/customers/x/balance_transactions",
        "_customer_create_balance_transaction_params.CustomerCreateBalanceTransactionParams",
    ),
    (
        "POST",
        "/v1/customers/x/balance_transactions/y",
        "_customer_modify_balance_transaction_params.CustomerModifyBalanceTransactionParams",
    ),
    (
        "GET",
        "/v1/customers/x/balance_transactions",
        "_customer_list_balance_transactions_params.CustomerListBalanceTransactionsParams",
    ),
    ("GET", "/v1/customers/search", "_customer_search_params.CustomerSearchParams"),
    ("POST", "/v1/test_helpers/test_clocks", "test_helpers._test_clock_create_params.TestClockCreateParams"),
    (
        "POST",
        "/v1/test_helpers/test_clocks/x/advance",
        "test_helpers._test_clock_advance_params.TestClockAdvanceParams",
    ),
    ("GET", "/v1/test_helpers/test_clocks", "test_helpers._test_clock_list_params.TestClockListParams"),
    ("POST", "/v1/billing/meters", "billing._meter_create_params.MeterCreateParams"),
    ("POST", "/v1/billing/meters/x", "billing._meter_modify_params.MeterModifyParams"),
    ("GET", "/v1/billing/meters", "billing._meter_list_params.MeterListParams"),
    (
        "GET",
        "/v1/billing/meters/x/event_summaries",
        "billing._meter_list_event_summaries_params.MeterListEventSummariesParams",
    ),
    ("POST", "/v1/billing/meter_events", "billing._meter_event_create_params.MeterEventCreateParams"),
    ("POST", "/v1/billing/credit_grants", "billing._credit_grant_create_params.CreditGrantCreateParams"),
    ("POST", "/v1/billing/credit_grants/x", "billing._credit_grant_modify_params.CreditGrantModifyParams"),
    ("GET", "/v1/billing/credit_grants", "billing._credit_grant_list_params.CreditGrantListParams"),
    (
        "GET",
        "/v1/billing/credit_balance_transactions",
        "billing._credit_balance_transaction_list_params.CreditBalanceTransactionListParams",
    ),
    (
        "GET",
        "/v1/billing/credit_balance_summary",
        "billing._credit_balance_summary_retrieve_params.CreditBalanceSummaryRetrieveParams",
    ),
    ("POST", "/v1/products", "_product_create_params.ProductCreateParams"),
    ("POST", "/v1/products/x", "_product_modify_params.ProductModifyParams"),
    ("GET", "/v1/products", "_product_list_params.ProductListParams"),
    ("GET", "/v1/products/search", "_product_search_params.ProductSearchParams"),
    ("POST", "/v1/prices", "_price_create_params.PriceCreateParams"),
    ("POST", "/v1/prices/x", "_price_modify_params.PriceModifyParams"),
    ("GET", "/v1/prices", "_price_list_params.PriceListParams"),
    ("GET", "/v1/prices/search", "_price_search_params.PriceSearchParams"),
    ("POST", "/v1/coupons", "_coupon_create_params.CouponCreateParams"),
    ("POST", "/v1/coupons/x", "_coupon_modify_params.CouponModifyParams"),
    ("GET", "/v1/coupons", "_coupon_list_params.CouponListParams"),
    ("POST", "/v1/promotion_codes", "_promotion_code_create_params.PromotionCodeCreateParams"),
    ("POST", "/v1/promotion_codes/x", "_promotion_code_modify_params.PromotionCodeModifyParams"),
    ("GET", "/v1/promotion_codes", "_promotion_code_list_params.PromotionCodeListParams"),
    ("POST", "/v1/tax_rates", "_tax_rate_create_params.TaxRateCreateParams"),
    ("POST", "/v1/tax_rates/x", "_tax_rate_modify_params.TaxRateModifyParams"),
    ("GET", "/v1/tax_rates", "_tax_rate_list_params.TaxRateListParams"),
    ("POST", "/v1/subscriptions", "_subscription_create_params.SubscriptionCreateParams"),
    ("POST", "/v1/subscriptions/x", "_subscription_modify_params.SubscriptionModifyParams"),
    ("DELETE", "/v1/subscriptions/x", "_subscription_cancel_params.SubscriptionCancelParams"),
    ("GET", "/v1/subscriptions", "_subscription_list_params.SubscriptionListParams"),
    ("GET", "/v1/subscriptions/search", "_subscription_search_params.SubscriptionSearchParams"),
    ("GET", "/v1/subscription_items", "_subscription_item_list_params.SubscriptionItemListParams"),
    (
        "POST",
        "/v1/subscription_schedules",
        "_subscription_schedule_create_params.SubscriptionScheduleCreateParams",
    ),
    (
        "POST",
        "/v1/subscription_schedules/x",
        "_subscription_schedule_update_params.SubscriptionScheduleUpdateParams",
    ),
    (
        "GET",
        "/v1/subscription_schedules",
        "_subscription_schedule_list_params.SubscriptionScheduleListParams",
    ),
    (
        "POST",
        "/v1/subscription_schedules/x/cancel",
        "_subscription_schedule_cancel_params.SubscriptionScheduleCancelParams",
    ),
    (
        "POST",
        "/v1/subscription_schedules/x/release",
        "_subscription_schedule_release_params.SubscriptionScheduleReleaseParams",
    ),
    ("POST", "/v1/invoiceitems", "_invoice_item_create_params.InvoiceItemCreateParams"),
    ("POST", "/v1/invoiceitems/x", "_invoice_item_modify_params.InvoiceItemModifyParams"),
    ("GET", "/v1/invoiceitems", "_invoice_item_list_params.InvoiceItemListParams"),
    ("POST", "/v1/invoices", "_invoice_create_params.InvoiceCreateParams"),
    ("POST", "/v1/invoices/x/add_lines", "_invoice_add_lines_params.InvoiceAddLinesParams"),
    ("POST", "/v1/invoices/x/update_lines", "_invoice_update_lines_params.InvoiceUpdateLinesParams"),
    ("POST", "/v1/invoices/x/remove_lines", "_invoice_remove_lines_params.InvoiceRemoveLinesParams"),
    ("POST", "/v1/invoices/x/lines/y", "_invoice_line_item_update_params.InvoiceLineItemUpdateParams"),
    ("POST", "/v1/invoices/x/send", "_invoice_send_invoice_params.InvoiceSendInvoiceParams"),
    ("POST", "/v1/invoices/x", "_invoice_modify_params.InvoiceModifyParams"),
    ("POST", "/v1/invoices/x/finalize", "_invoice_finalize_invoice_params.InvoiceFinalizeInvoiceParams"),
    ("POST", "/v1/invoices/x/pay", "_invoice_pay_params.InvoicePayParams"),
    ("POST", "/v1/invoices/x/void", "_invoice_void_invoice_params.InvoiceVoidInvoiceParams"),
    ("POST", "/v1/invoices/x/mark_uncollectible", "_invoice_mark_uncollectible_params.InvoiceMarkUncollectibleParams"),
    ("POST", "/v1/invoices/create_preview", "_invoice_create_preview_params.InvoiceCreatePreviewParams"),
    ("GET", "/v1/invoices", "_invoice_list_params.InvoiceListParams"),
    ("GET", "/v1/invoices/search", "_invoice_search_params.InvoiceSearchParams"),
    (
        "POST",
        "/v1/billing_portal/sessions",
        "billing_portal._session_create_params.SessionCreateParams",
    ),
    ("GET", "/v1/invoices/x/lines", "_invoice_line_item_list_params.InvoiceLineItemListParams"),
]


def hints_of(dotted: str) -> dict[str, Any]:
    module, _, name = dotted.rpartition(".")
    found = types_of(getattr(import_module(f"stripe.params.{module}"), name))
    return {name: hint for name, hint in found.items() if name not in {"expand", *RequestOptions.__annotations__}}


def types_of(params: type) -> dict[str, Any]:
    return typing.get_type_hints(params, localns={"StripeContext": object, "Mapping": Mapping})


def inner(hint: Any) -> Iterator[tuple[str, type]]:
    """The hashes within a parameter: (how the address of their fields goes on, class)."""
    for part in typing.get_args(hint):
        if typing.get_origin(hint) is list:
            yield from ((f"[0]{more}", found) for more, found in [*inner_or_self(part)])
        elif typing.get_origin(hint) is dict:  # of those with hashes in them all are by currency
            yield from ((f"[eur]{more}", found) for more, found in [*inner_or_self(part)])
        else:
            yield from inner_or_self(part)


def inner_or_self(hint: Any) -> Iterator[tuple[str, type]]:
    if is_typeddict(hint):
        yield "", hint
    else:
        yield from inner(hint)


@pytest.mark.parametrize(("method", "path", "params"), CALLS, ids=[f"{method} {path}" for method, path, _ in CALLS])
def test_none_is_unknown(wire: Wire, method: str, path: str, params: str) -> None:
    session = requests.Session()
    session.auth = (wire.key, "")

    def refusal(name: str) -> dict[str, Any]:
        place = "data" if method == "POST" else "params"
        return session.request(method, wire.url + path, timeout=10, **{place: {name: "x"}}).json().get("error", {})

    unknown, refused, todo = [], [], list(hints_of(params).items())
    while todo:
        name, hint = todo.pop()
        error = refusal(name)
        if error.get("message") == f"The parameter {name} is not supported yet.":
            assert (error["code"], error["param"]) == ("parameter_unknown", name)
            refused.append(name)
        elif error.get("code") == "parameter_unknown":
            unknown.append(name)
        else:
            for more, found in inner_or_self(hint):
                todo += [(f"{name}{more}[{key}]", each) for key, each in types_of(found).items()]
    assert unknown == []


@pytest.mark.parametrize(
    ("parameters", "param", "hint"),
    [
        ({"colour": "red"}, "colour", None),
        ({"emial": "a@example.com"}, "emial", "Did you mean email?"),
        ({"address": {"citty": "Oslo"}}, "address[citty]", "Did you mean address[city]?"),
        (
            {"invoice_settings": {"custom_fields": [{"name": "a", "value": "b", "c": "d"}]}},
            "invoice_settings[custom_fields][0][c]",
            None,
        ),
    ],
)
def test_an_unknown_one_is_named(wire: Wire, parameters: dict[str, Any], param: str, hint: str | None) -> None:
    error = invalid(wire.v1.customers.create, parameters)
    assert (error.code, error.param) == ("parameter_unknown", param)
    assert error.user_message.startswith(f"Received unknown parameter: {param}.")
    assert hint is None or hint in error.user_message


def test_calls_without_parameters_take_none(wire: Wire) -> None:
    meter = wire.meter()
    assert invalid(wire.v1.billing.meters.deactivate, meter.id, {"force": True}).param == "force"
    assert invalid(wire.v1.customers.retrieve, wire.customer().id, {"force": True}).param == "force"
    assert wire.v1.billing.meters.retrieve(meter.id).status == "active"
