"""Invoice items over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api.views import ResourceView
from core import clock
from invoices.item_serializers import CreateItem, ListItems, UpdateItem, wish_of
from invoices.items import NewItem, create_item, delete_item, update_item
from invoices.models import InvoiceItem
from invoices.resources import INVOICE_ITEM


class InvoiceItemView(ResourceView):
    resource = INVOICE_ITEM
    params = {"create": CreateItem, "update": UpdateItem, "list": ListItems}

    def create(self, request: Request) -> Response:
        given = self.read()
        new = NewItem(
            wish=wish_of(given),
            customer=given.get("customer"),
            currency=given["currency"].lower() if "currency" in given else None,
            invoice=given.get("invoice"),
            subscription=given.get("subscription"),
        )
        return self.answer(create_item(new, at=clock.now()))

    def update(self, request: Request, id: str) -> Response:
        return self.answer(update_item(id, wish_of(self.read()), at=clock.now()))

    def destroy(self, request: Request, id: str) -> Response:
        delete_item(id, at=clock.now())
        return self.answer_deleted(id)

    def filter(self, queryset: QuerySet[InvoiceItem], given: Mapping[str, Any]) -> QuerySet[InvoiceItem]:
        """Of a clock's items only those asked for by customer or invoice (as Stripe does)."""
        queryset = super().filter(queryset, given)
        for name in ("customer", "invoice"):
            if name in given:
                queryset = queryset.filter(**{name: given[name]})
        if "customer" not in given and "invoice" not in given:
            queryset = queryset.filter(customer__test_clock=None)
        return queryset.filter(invoice__isnull=given["pending"]) if "pending" in given else queryset
