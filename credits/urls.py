from api.urls import resource_routes, route
from credits.hold_views import CreditHoldView
from credits.recurring_views import RecurringCreditGrantView
from credits.views import CreditGrantView, CreditSummaryView, CreditTransactionView

urlpatterns = [
    *resource_routes(CreditGrantView, "billing/credit_grants", actions={"expire": "expire", "void": "void"}),
    *resource_routes(
        RecurringCreditGrantView,
        "billing/recurring_credit_grants",
        actions={"cancel": "cancel", "resume": "resume"},
    ),
    *resource_routes(CreditTransactionView, "billing/credit_balance_transactions"),
    route("v1/billing/credit_balance_summary", CreditSummaryView, get="summary"),
    *resource_routes(CreditHoldView, "billing/credit_holds", actions={"capture": "capture", "release": "release"}),
]
