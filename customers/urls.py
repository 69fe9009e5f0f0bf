from api.urls import resource_routes, route
from customers.views import BalanceTransactionView, CustomerView, TestClockView

urlpatterns = [
    *resource_routes(CustomerView, "customers"),
    route("v1/customers/<str:id>/balance_transactions", BalanceTransactionView, get="transactions", post="adjust"),
    route(
        "v1/customers/<str:id>/balance_transactions/<str:transaction>",
        BalanceTransactionView,
        get="one",
        post="annotate",
    ),
    *resource_routes(TestClockView, "test_helpers/test_clocks", actions={"advance": "advance"}),
]
