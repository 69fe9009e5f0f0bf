"""The objects of this app, as the API knows them."""

from django.db.models import Case, CharField, Value, When

from api.resources import Resource, fill, register
from api.search_fields import Field, Kind
from customers.resources import CUSTOMER
from pricing.coupon_serializers import (
    CouponObject,
    PromotionCodeObject,
    amounts_by_coupon,
    minimum_amounts_by_code,
    products_by_coupon,
)
from pricing.discount_serializers import DiscountObject, discounts_by_customer
from pricing.models import Coupon, Discount, Price, Product, ProductQuerySet, PromotionCode, TaxRate
from pricing.serializers import PriceObject, ProductObject, options_by_price, tiers_by_price
from pricing.tax_serializers import TaxRateObject

PRODUCT = register(
    Resource(
        name="product",
        kind="product",
        path="/v1/products",
        model=Product,
        serializer=ProductObject,
        expandable={"default_price": "price"},
        visible=ProductQuerySet.live,
        searchable={
            "active": Field("active", Kind.BOOLEAN),
            "description": Field("description", Kind.TEXT),
            "metadata": Field("metadata", Kind.METADATA),
            "name": Field("name", Kind.TEXT),
            "shippable": Field("shippable", Kind.BOOLEAN),
            "url": Field("url", Kind.TEXT),
        },
    )
)
PRICE = register(
    Resource(
        name="price",
        kind="price",
        path="/v1/prices",
        model=Price,
        serializer=PriceObject,
        expandable={"product": "product"},
        included={"tiers": tiers_by_price, "currency_options": options_by_price},
        searchable={
            "active": Field("active", Kind.BOOLEAN),
            "currency": Field("currency", Kind.TOKEN),
            "lookup_key": Field("lookup_key", Kind.TEXT),
            "metadata": Field("metadata", Kind.METADATA),
            "product": Field("product_id", Kind.ID),
            "type": Field(
                Case(
                    When(interval=None, then=Value("one_time")),
                    default=Value("recurring"),
                    output_field=CharField(),
                ),
                Kind.TOKEN,
            ),
        },
    )
)
COUPON = register(
    Resource(
        name="coupon",
        kind="coupon",
        path="/v1/coupons",
        model=Coupon,
        serializer=CouponObject,
        included={"applies_to": products_by_coupon, "currency_options": amounts_by_coupon},
    )
)
PROMOTION_CODE = register(
    Resource(
        name="promotion_code",
        kind="promotion code",
        path="/v1/promotion_codes",
        model=PromotionCode,
        serializer=PromotionCodeObject,
        expandable={"customer": "customer", "promotion.coupon": "coupon"},
        included={"restrictions.currency_options": minimum_amounts_by_code},
        related=("coupon",),
    )
)
# It has no list of its own; who may read coupons may read what was made of them.
DISCOUNT = register(
    Resource(
        name="discount",
        kind="discount",
        path="/v1/coupons",
        model=Discount,
        serializer=DiscountObject,
        expandable={"customer": "customer", "promotion_code": "promotion_code", "source.coupon": "coupon"},
    )
)
TAX_RATE = register(
    Resource(
        name="tax_rate",
        kind="tax rate",
        path="/v1/tax_rates",
        model=TaxRate,
        serializer=TaxRateObject,
    )
)
fill(CUSTOMER.name, "discount", discounts_by_customer)
