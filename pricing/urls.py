from api.urls import resource_routes
from pricing.views import PriceView, ProductView

urlpatterns = [*resource_routes(ProductView, "products"), *resource_routes(PriceView, "prices")]
