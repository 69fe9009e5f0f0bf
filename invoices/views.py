"""Invoices over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.lists import page_of
from api.views import ResourceView
from core import clock
from core.errors import ParameterMissing, ResourceMissing
from customers.models import Customer
from invoices import lines, settle
from invoices.draft_serializers import CreateInvoice, UpdateInvoice, draft_changes
from invoices.drafts import NewInvoice, create_invoice, delete_invoice, update_invoice
from invoices.finalize import finalize_invoice
from invoices.line_params import AddLines, RemoveLines, UpdateLine, UpdateLines, line_wish
from invoices.models import Invoice, InvoiceLine
from invoices.preview import (
    find_preview,
    find_subscription,
    is_preview,
    keep_preview,
    next_subscription,
    preview_next,
)
from invoices.resources import INVOICE, LINE_ITEM
from invoices.revise import create_revision
from invoices.serializers import (
    FinalizeInvoice,
    ListInvoices,
    PayInvoice,
    PreviewInvoice,
    show_preview,
)
from subscriptions.models import Subscription


class InvoiceView(ResourceView):
    resource = INVOICE
    params = {
        "create": CreateInvoice,
        "update": UpdateInvoice,
        "list": ListInvoices,
        "finalize": FinalizeInvoice,
        "pay": PayInvoice,
        "add_lines": AddLines,
        "update_lines": UpdateLines,
        "remove_lines": RemoveLines,
        "create_preview": PreviewInvoice,
    }
    permissions = {"create_preview": "invoices:read"}  # a POST that writes nothing

    def retrieve(self, request: Request, id: str) -> Response:
        if is_preview(id):
            return self.answer_object(find_preview(id, clock.now())[0])
        return super().retrieve(request, id)

    def create(self, request: Request) -> Response:
        given = self.read()
        if "from_invoice" in given:
            revision = create_revision(given["from_invoice"]["invoice"], **draft_changes(given), at=clock.now())
            return self.answer(revision)
        if "customer" not in given:
            raise ParameterMissing("customer", "You must provide customer or from_invoice.")
        new = NewInvoice(
            customer=given["customer"],
            subscription=given.get("subscription"),
            currency=given["currency"].lower() if "currency" in given else None,
            include_pending=given.get("pending_invoice_items_behavior") == "include",
            **draft_changes(given),
        )
        return self.answer(create_invoice(new, at=clock.now()))

    def update(self, request: Request, id: str) -> Response:
        return self.answer(update_invoice(id, **draft_changes(self.read()), at=clock.now()))

    def destroy(self, request: Request, id: str) -> Response:
        delete_invoice(id, at=clock.now())
        return self.answer_deleted(id)

    def send(self, request: Request, id: str) -> Response:
        return self.answer(settle.send_invoice(id, at=clock.now()))

    def finalize(self, request: Request, id: str) -> Response:
        wish = self.read().get("auto_advance")
        return self.answer(finalize_invoice(id, at=clock.now(), auto_advance=wish))

    def pay(self, request: Request, id: str) -> Response:
        elsewhere = self.read().get("paid_out_of_band", False)
        return self.answer(settle.pay_invoice(id, at=clock.now(), paid_out_of_band=elsewhere))

    def add_lines(self, request: Request, id: str) -> Response:
        given, at = self.read(), clock.now()
        wishes = [line_wish(line, at=at) for line in given["lines"]]
        return self.answer(lines.add_lines(id, wishes, at=at, metadata=given.get("invoice_metadata")))

    def update_lines(self, request: Request, id: str) -> Response:
        given, at = self.read(), clock.now()
        wishes = [(line["id"], line_wish(line, at=at)) for line in given["lines"]]
        return self.answer(lines.update_lines(id, wishes, at=at, metadata=given.get("invoice_metadata")))

    def remove_lines(self, request: Request, id: str) -> Response:
        given = self.read()
        named = [(line["id"], line["behavior"] == "delete") for line in given["lines"]]
        return self.answer(lines.remove_lines(id, named, at=clock.now(), metadata=given.get("invoice_metadata")))

    def void(self, request: Request, id: str) -> Response:
        return self.answer(settle.void_invoice(id, at=clock.now()))

    def mark_uncollectible(self, request: Request, id: str) -> Response:
        return self.answer(settle.mark_uncollectible(id, at=clock.now()))

    def create_preview(self, request: Request) -> Response:
        at = clock.now()
        invoice, shown = preview_next(_subscription(self.read()), at=at)
        body, all_lines = show_preview(invoice, shown)
        keep_preview(invoice.pk, body=body, lines=all_lines, at=at)
        return self.answer_object(body)

    def filter(self, queryset: QuerySet[Invoice], given: Mapping[str, Any]) -> QuerySet[Invoice]:
        """Of a clock's invoices only those asked for by customer or subscription (as Stripe does)."""
        queryset = super().filter(queryset, given)
        if "customer" not in given and "subscription" not in given:
            queryset = queryset.filter(customer__test_clock=None)
        for name in ("customer", "subscription", "status", "collection_method"):
            if name in given:
                queryset = queryset.filter(**{name: given[name]})
        for name in ("due_date", "period_start", "period_end"):
            bounds = given.get(name, {})
            queryset = queryset.filter(**{f"{name}__{bound}": at for bound, at in bounds.items()})
        return queryset


class LineView(ResourceView):
    """The lines of one invoice, or of a preview, in the order in which they stand on it."""

    resource = LINE_ITEM
    params = {"update": UpdateLine}
    order = ("position",)
    list_actions = frozenset({"lines"})

    def lines(self, request: Request, id: str) -> Response:
        given = self.read()
        if is_preview(id):
            found = page_of(find_preview(id, clock.now())[1], given, kind=LINE_ITEM.kind)
            return self.answer_objects(found.rows, has_more=found.has_more)
        invoice = resources.retrieve(INVOICE, id)
        rows: QuerySet[InvoiceLine] = LINE_ITEM.rows().filter(invoice=invoice)
        return self.answer_list(rows, given)

    def update(self, request: Request, id: str, line: str) -> Response:
        at = clock.now()
        return self.answer(lines.update_line(id, line, line_wish(self.read(), at=at), at=at))


def _subscription(given: Mapping[str, Any]) -> Subscription:
    """The subscription to preview: the one named, or the customer's that renews next."""
    if "subscription" in given:
        return find_subscription(given["subscription"], given.get("customer"))
    if "customer" not in given:
        raise ParameterMissing("customer", "You must provide customer or subscription.")
    customer = Customer.objects.live().filter(pk=given["customer"]).first()
    if customer is None:
        raise ResourceMissing("customer", given["customer"], param="customer")
    return next_subscription(customer)
