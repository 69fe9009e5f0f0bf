from api.urls import resource_routes
from customers.views import CustomerView, TestClockView

urlpatterns = [
    *resource_routes(CustomerView, "customers"),
    *resource_routes(TestClockView, "test_helpers/test_clocks", actions={"advance": "advance"}),
]
