"""Invoice items: amounts of their own, pending or on an invoice."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from core.ids import IdField
from customers.models import Customer
from invoices.credit_note_models import CreditNote as CreditNote  # these for Django to find them
from invoices.credit_note_models import CreditNoteLine as CreditNoteLine
from invoices.late_usage_models import LateUsage as LateUsage
from pricing.models import Price
from subscriptions.models import Subscription, SubscriptionItem


class InvoiceItemQuerySet(models.QuerySet["InvoiceItem"]):
    def pending(self) -> Self:
        """Items that wait for an invoice."""
        return self.filter(invoice=None)


class InvoiceItem(models.Model):
    """An amount of its own: a one-time charge, a credit, or the proration of a change.

    Pending while it has no invoice; the next invoice of its customer (or subscription) takes it up.
    """

    id = IdField(prefix="ii")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="invoice_items")
    subscription = models.ForeignKey(
        Subscription, null=True, on_delete=models.PROTECT, related_name="invoice_items", editable=False
    )
    subscription_item = models.ForeignKey(
        SubscriptionItem, null=True, on_delete=models.PROTECT, related_name="invoice_items", editable=False
    )
    invoice = models.ForeignKey(
        "invoices.Invoice", null=True, on_delete=models.SET_NULL, related_name="invoice_items", editable=False
    )
    price = models.ForeignKey(Price, null=True, on_delete=models.PROTECT, related_name="+")
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField()
    quantity = models.DecimalField(max_digits=30, decimal_places=12, default=1)
    unit_amount_decimal = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    description = models.TextField(max_length=5000, blank=True, default="")
    formula = models.TextField(blank=True, default="")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    discountable = models.BooleanField(default=True)
    proration = models.BooleanField(default=False, editable=False)
    credited_lines = ArrayField(
        models.CharField(max_length=64), default=list, editable=False, help_text="Invoice lines that it takes back."
    )
    discounts = ArrayField(models.CharField(max_length=64), default=list, editable=False)
    tax_rates = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    tax_behavior = models.CharField(max_length=12, choices=Price.TaxBehavior, default=Price.TaxBehavior.UNSPECIFIED)
    metadata = models.JSONField(default=dict, blank=True)
    # The place among the items that were put on the invoice after it was made; null for those it was made with.
    added_position = models.PositiveIntegerField(null=True, editable=False)
    made_on_invoice = models.BooleanField(
        default=False, editable=False, help_text="Made for its invoice, and deleted with it if that stays a draft."
    )
    created_at = models.DateTimeField(editable=False)

    objects = InvoiceItemQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["customer", "created_at"], condition=Q(invoice=None), name="invoice_item_pending"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(invoice__isnull=False) | Q(added_position=None), name="invoice_item_added_to_an_invoice"
            ),
            models.CheckConstraint(condition=Q(period_end__gte=F("period_start")), name="invoice_item_period_forward"),
            models.CheckConstraint(
                condition=Q(amount__gt=-(10**15), amount__lt=10**15), name="invoice_item_amount_bounded"
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=-(10**18), quantity__lt=10**18), name="invoice_item_quantity_bounded"
            ),
        )

    def __str__(self) -> str:
        return self.description or self.id

    @property
    def product(self) -> str | None:
        return self.price.product_id if self.price else None
