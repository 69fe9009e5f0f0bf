"""Creates, changes and deletes products."""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound, ResourceMissing
from pricing.models import Price, Product
from webhooks.events import record, telling


def create_product(*, name: str, at: datetime, id: str | None = None, **fields: Any) -> Product:
    """Create a product, under the caller's `id` if one is given.

    Raises InvalidRequest (resource_already_exists) when the id is taken.
    """
    product = Product(name=name, created_at=at, updated_at=at, **fields)
    if id:
        product.id = id
    try:
        with transaction.atomic():
            product.save(force_insert=True)
            record("product.created", "product", product, at=at)
    except IntegrityError as error:
        raise InvalidRequest(
            f"Product already exists: '{product.pk}'.", param="id", code="resource_already_exists"
        ) from error
    return product


def update_product(product_id: str, *, changes: dict[str, Any], at: datetime, metadata: Given = None) -> Product:
    """Set the given fields of a product and merge `metadata` in; `default_price` is a price's id or None.

    Raises NotFound; ResourceMissing and InvalidRequest for a default price that is not an active one of its own.
    """
    with transaction.atomic():
        product = _locked(product_id)
        if default := changes.get("default_price"):
            changes = changes | {"default_price": _default_price(product, default)}
        for name, value in changes.items():
            setattr(product, name, value)
        product.metadata = merge(product.metadata, metadata)
        product.updated_at = at
        with telling("product.updated", "product", [product_id], at=at):
            product.save(update_fields=[*changes, "metadata", "updated_at"])
        return product


def delete_product(product_id: str, *, at: datetime) -> Product:
    """Delete a product that never had a price. Raises NotFound, InvalidRequest."""
    with transaction.atomic():
        product = _locked(product_id)
        if product.prices.exists():
            raise InvalidRequest(
                "This product cannot be deleted because it has one or more prices; set active=false instead."
            )
        record("product.deleted", "product", product, at=at)
        product.deleted_at = product.updated_at = at
        product.save(update_fields=["deleted_at", "updated_at"])
        return product


def _locked(product_id: str) -> Product:
    product = Product.objects.live().select_for_update(no_key=True).filter(pk=product_id).first()
    if product is None:
        raise NotFound("product", product_id)
    return product


def _default_price(product: Product, price_id: str) -> Price:
    price = product.prices.filter(pk=price_id).first()
    if price is None:
        raise ResourceMissing("price", price_id, param="default_price")
    if not price.active:
        raise InvalidRequest("The default price must be active.", param="default_price")
    return price
