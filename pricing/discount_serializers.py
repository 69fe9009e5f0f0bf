"""Discounts on the wire: how one is asked for, and how it is shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef
from django.db.models.functions import Coalesce

from api import objects, params
from api.params import Params
from core import clock
from pricing.coupon_models import COUPON_ID_LENGTH
from pricing.models import Discount


class DiscountParams(Params):
    """One discount to apply, for the parameters of what can have some: `Array(DiscountParams, unset=True)`."""

    coupon = params.String(max_length=COUPON_ID_LENGTH)
    discount = params.String()
    promotion_code = params.String()


class SourceObject(objects.Object):
    coupon = objects.ObjectId(source="coupon_id")
    type = objects.Const("coupon")


class InvoiceItemId(objects.ObjectId):
    """The invoice item, or the line of an invoice, that the discount stands on: Stripe has one field for both."""

    def __init__(self) -> None:
        super().__init__(source="*")

    def to_representation(self, value: Discount) -> Any:
        return value.invoice_item or value.invoice_line


class DiscountObject(objects.Object):
    id = objects.Text()
    object = objects.Const("discount")
    checkout_session = objects.Const(None)
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    end = objects.UnixTime()
    invoice = objects.Text()
    invoice_item = InvoiceItemId()
    promotion_code = objects.ObjectId(source="promotion_code_id")
    source = SourceObject(source="*")  # type: ignore[assignment]
    start = objects.UnixTime()
    subscription = objects.Text()
    subscription_item = objects.Text()


def holding_ids(owner: str = "pk") -> ArraySubquery:
    """The ids of the discounts that a row, named by its column `owner`, has now by its customer's clock, in their
    order; for an annotation."""
    own_time = Coalesce("customer__test_clock__frozen_time", clock.now())
    rows = Discount.objects.filter(owner=OuterRef(owner)).annotate(own_time=own_time).holding(F("own_time"))
    return ArraySubquery(rows.order_by("position", "id").values("pk"))


def discounts_by_customer(customers: Sequence[str]) -> Mapping[str, Any]:
    """The discount that each of the given customers has now, by the customer's own clock."""
    shape = DiscountObject()
    # An annotation: within the filter itself, Django would join only customers that have a clock.
    own_time = Coalesce("customer__test_clock__frozen_time", clock.now())
    rows = Discount.objects.of(customers).annotate(own_time=own_time).holding(F("own_time"))
    return {discount.owner: shape.to_representation(discount) for discount in rows}
