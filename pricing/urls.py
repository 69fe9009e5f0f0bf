from django.urls import path

from api.urls import resource_routes
from pricing.coupon_views import CouponView, CustomerDiscountView, PromotionCodeView
from pricing.tax_views import TaxRateView
from pricing.views import PriceView, ProductView

urlpatterns = [
    *resource_routes(ProductView, "products"),
    *resource_routes(PriceView, "prices"),
    *resource_routes(CouponView, "coupons"),
    *resource_routes(PromotionCodeView, "promotion_codes"),
    *resource_routes(TaxRateView, "tax_rates"),
    path("v1/customers/<str:id>/discount", CustomerDiscountView.as_view({"delete": "destroy"})),
]
