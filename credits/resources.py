"""The objects of this app, as the API knows them."""

from api.resources import Resource, register
from credits.hold_models import CreditHoldQuerySet
from credits.hold_serializers import HoldObject
from credits.models import CreditGrant, CreditHold, CreditTransaction, RecurringCreditGrant
from credits.recurring_serializers import RecurringObject
from credits.serializers import GrantObject, SummaryObject, TransactionObject
from customers.models import Customer

CREDIT_GRANT = register(
    Resource(
        name="billing.credit_grant",
        kind="billing credit grant",
        path="/v1/billing/credit_grants",
        model=CreditGrant,
        serializer=GrantObject,
        expandable={
            "customer": "customer",
            "recurring_credit_grant": "billing.recurring_credit_grant",
            "rolled_over_from": "billing.credit_grant",
            "test_clock": "test_helpers.test_clock",
        },
        related=("customer",),
    )
)
RECURRING_CREDIT_GRANT = register(
    Resource(
        name="billing.recurring_credit_grant",
        kind="recurring credit grant",
        path="/v1/billing/recurring_credit_grants",
        model=RecurringCreditGrant,
        serializer=RecurringObject,
        expandable={"customer": "customer", "test_clock": "test_helpers.test_clock"},
        related=("customer",),
    )
)
CREDIT_TRANSACTION = register(
    Resource(
        name="billing.credit_balance_transaction",
        kind="billing credit balance transaction",
        path="/v1/billing/credit_balance_transactions",
        model=CreditTransaction,
        serializer=TransactionObject,
        expandable={
            "credit.credits_application_invoice_voided.invoice": "invoice",
            "credit_grant": "billing.credit_grant",
            "customer": "customer",
            "debit.credits_applied.invoice": "invoice",
            "test_clock": "test_helpers.test_clock",
        },
        related=("customer", "grant"),
    )
)
# Of a customer, by whatever is asked: it has no id of its own.
CREDIT_SUMMARY = register(
    Resource(
        name="billing.credit_balance_summary",
        kind="billing credit balance summary",
        path="/v1/billing/credit_balance_summary",
        model=Customer,
        serializer=SummaryObject,
        expandable={"customer": "customer"},
    )
)
CREDIT_HOLD = register(
    Resource(
        name="billing.credit_hold",
        kind="billing credit hold",
        path="/v1/billing/credit_holds",
        model=CreditHold,
        serializer=HoldObject,
        expandable={"customer": "customer", "test_clock": "test_helpers.test_clock"},
        related=("customer",),
        visible=CreditHoldQuerySet.with_status_now,
    )
)
