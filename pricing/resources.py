"""The objects of this app, as the API knows them."""

from django.db.models import Case, CharField, Value, When

from api.resources import Resource, register
from api.search_fields import Field, Kind
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
        included={"tiers": tiers_by_price},
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
