"""The objects of this app, as the API knows them."""

from api.resources import Resource, register
from pricing.models import Price, Product, ProductQuerySet
from pricing.serializers import PriceObject, ProductObject, tiers_by_price

PRODUCT = register(
    Resource(
        name="product",
        kind="product",
        path="/v1/products",
        model=Product,
        serializer=ProductObject,
        expandable={"default_price": "price"},
        visible=ProductQuerySet.live,
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
        included={"tiers": tiers_by_price},
    )
)
