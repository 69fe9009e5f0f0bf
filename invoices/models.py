"""Invoices and their lines. A draft may be rewritten; a finalized invoice never changes (see the triggers)."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Min, Q

from core.ids import IdField
from customers.models import Customer
from invoices.credit_note_models import CreditNote as CreditNote  # these for Django to find them
from invoices.credit_note_models import CreditNoteLine as CreditNoteLine
from invoices.item_models import InvoiceItem as InvoiceItem
from invoices.late_usage_models import LateUsage as LateUsage
from meters.event_sql import Snapshot
from meters.models import Meter
from pricing.models import Price
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def to_finalize(self, at: datetime) -> Self:
        """Drafts that finalize themselves and whose time has come."""
        return self._advancing().filter(automatically_finalizes_at__lte=at)

    def finalized(self) -> Self:
        """Invoices that will not change any more; what customers see as their invoices."""
        return self.exclude(status=Invoice.Status.DRAFT)

    def drafts(self) -> Self:
        """Invoices of ended periods that may still change."""
        return self.filter(status=Invoice.Status.DRAFT)

    def on_clock(self, clock: str | None) -> Self:
        """Invoices of customers on the given test clock, or of those that live in real time."""
        return self.filter(customer__test_clock=clock)

    def overdue(self, at: datetime) -> Self:
        """Open invoices whose due date has come."""
        return self.filter(status=Invoice.Status.OPEN, due_date__lte=at)

    def next_due(self) -> datetime | None:
        return self.filter(status=Invoice.Status.OPEN).aggregate(earliest=Min("due_date"))["earliest"]

    def next_finalization(self) -> datetime | None:
        return self._advancing().aggregate(earliest=Min("automatically_finalizes_at"))["earliest"]

    def _advancing(self) -> Self:
        return self.filter(status=Invoice.Status.DRAFT, auto_advance=True)


class Invoice(models.Model):
    """What a customer owes for a period. Carries copies of all it shows; amounts in minor units of `currency`."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        OPEN = "open"
        PAID = "paid"
        VOID = "void"
        UNCOLLECTIBLE = "uncollectible"

    class BillingReason(models.TextChoices):
        MANUAL = "manual"
        SUBSCRIPTION_CREATE = "subscription_create"
        SUBSCRIPTION_CYCLE = "subscription_cycle"
        SUBSCRIPTION_UPDATE = "subscription_update"
        SUBSCRIPTION_THRESHOLD = "subscription_threshold"
        PENDING_ITEMS = "automatic_pending_invoice_item_invoice"

    id = IdField(prefix="in")
    number = models.CharField(max_length=26, null=True, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="invoices")
    subscription = models.ForeignKey(
        Subscription, null=True, on_delete=models.PROTECT, related_name="invoices", editable=False
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.DRAFT, editable=False)
    billing_reason = models.CharField(max_length=50, choices=BillingReason, editable=False)
    currency = models.CharField(max_length=3, editable=False)
    collection_method = models.CharField(max_length=24, choices=Subscription.CollectionMethod)
    period_start = models.DateTimeField(editable=False)
    period_end = models.DateTimeField(editable=False)
    subtotal = models.BigIntegerField(default=0, editable=False)
    subtotal_excluding_tax = models.BigIntegerField(default=0, editable=False)
    discount_total = models.BigIntegerField(default=0, editable=False)
    credit_total = models.BigIntegerField(default=0, editable=False)
    tax_total = models.BigIntegerField(default=0, editable=False)
    inclusive_tax_total = models.BigIntegerField(default=0, editable=False)
    total = models.BigIntegerField(default=0, editable=False)
    starting_balance = models.BigIntegerField(default=0, editable=False)
    ending_balance = models.BigIntegerField(null=True, editable=False)
    pre_payment_credit_notes_amount = models.BigIntegerField(default=0, editable=False)
    post_payment_credit_notes_amount = models.BigIntegerField(default=0, editable=False)
    amount_due = models.BigIntegerField(default=0, editable=False)
    amount_paid = models.BigIntegerField(default=0, editable=False)
    amount_paid_off_stripe = models.BigIntegerField(default=0, editable=False)
    auto_advance = models.BooleanField(default=True)
    automatically_finalizes_at = models.DateTimeField(null=True, blank=True)
    due_date = models.DateTimeField(null=True, blank=True)
    default_tax_rates = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    # Ids of those that were put on the invoice; null: it has those of its subscription, or else of its customer.
    discounts = ArrayField(models.CharField(max_length=64), null=True, editable=False)
    statement_descriptor = models.CharField(max_length=22, blank=True, default="")
    threshold_reason = models.JSONField(null=True, editable=False)
    subscription_proration_date = models.DateTimeField(null=True, editable=False)
    last_finalization_error = models.JSONField(null=True, editable=False)
    effective_at = models.DateTimeField(null=True, editable=False)
    finalized_at = models.DateTimeField(null=True, editable=False)
    paid_at = models.DateTimeField(null=True, editable=False)
    voided_at = models.DateTimeField(null=True, editable=False)
    marked_uncollectible_at = models.DateTimeField(null=True, editable=False)
    customer_name = models.CharField(max_length=256, blank=True, default="", editable=False)
    customer_email = models.CharField(max_length=512, blank=True, default="", editable=False)
    customer_phone = models.CharField(max_length=20, blank=True, default="", editable=False)
    customer_address = models.JSONField(null=True, editable=False)
    customer_shipping = models.JSONField(null=True, editable=False)
    customer_tax_exempt = models.CharField(max_length=10, default=Customer.TaxExempt.NONE, editable=False)
    custom_fields = models.JSONField(null=True, blank=True)
    description = models.TextField(max_length=5000, blank=True, default="")
    footer = models.TextField(max_length=5000, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    subscription_metadata = models.JSONField(default=dict, editable=False)
    # A revision, and what it revises: that one is void as soon as the revision is final.
    from_invoice = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="revisions", editable=False
    )
    latest_revision = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    sent_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="invoice_newest"),
            models.Index(
                fields=["automatically_finalizes_at"],
                condition=Q(status="draft", auto_advance=True),
                name="invoice_to_finalize",
            ),
            models.Index(
                fields=["due_date"], condition=Q(status="open", due_date__isnull=False), name="invoice_to_be_paid"
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["subscription", "billing_reason", "period_end"],
                condition=Q(billing_reason__in=["subscription_create", "subscription_cycle"]),
                name="invoice_one_per_subscription_and_cycle",
            ),
            models.UniqueConstraint(fields=["from_invoice"], name="invoice_one_revision"),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "open", "paid", "void", "uncollectible"]),
                name="invoice_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="draft", finalized_at=None)
                | (~Q(status="draft") & Q(number__isnull=False, finalized_at__isnull=False)),
                name="invoice_finalized_has_number",
            ),
            models.CheckConstraint(
                condition=Q(total=F("subtotal") - F("discount_total") - F("credit_total") + F("tax_total")),
                name="invoice_total_adds_up",
            ),
            models.CheckConstraint(condition=Q(amount_due__gte=0), name="invoice_amount_due_not_negative"),
            models.CheckConstraint(
                condition=Q(status="draft", ending_balance=None)
                | ~Q(status="draft")
                & Q(
                    amount_due=F("total")
                    + F("starting_balance")
                    - F("ending_balance")
                    - F("pre_payment_credit_notes_amount")
                ),
                name="invoice_amount_due_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(pre_payment_credit_notes_amount__gte=0, post_payment_credit_notes_amount__gte=0),
                name="invoice_credit_notes_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(amount_paid__gte=0, amount_paid__lte=F("amount_due")),
                name="invoice_paid_within_due",
            ),
            models.CheckConstraint(
                condition=~Q(status="paid") | Q(amount_paid=F("amount_due"), paid_at__isnull=False),
                name="invoice_paid_in_full",
            ),
        )

    def __str__(self) -> str:
        return self.number or self.id

    @property
    def total_excluding_tax(self) -> int:
        return self.total - self.tax_total - self.inclusive_tax_total

    @property
    def amount_remaining(self) -> int:
        return self.amount_due - self.amount_paid

    @property
    def is_draft(self) -> bool:
        return self.status == self.Status.DRAFT

    @property
    def is_held(self) -> bool:
        """A draft that stays one until somebody sees to it."""
        return self.is_draft and not self.auto_advance


class InvoiceLine(models.Model):
    """One charge: `quantity` at `unit_amount_decimal`, a flat amount over one period of one item, or an invoice item.

    `formula` is the arithmetic in words, `terms` the price as it was. A metered line keeps what it counted: the
    aggregated usage, the number of events, and the snapshot that names exactly those events. `amount` is before
    discounts, credits and taxes; these are kept as lists, and their sums as columns that the database adds up.
    `revision` counts the invoices that bill usage of one period: a threshold, or a correction, makes another.
    """

    class Kind(models.TextChoices):
        UNIT = "unit"
        FLAT = "flat"
        ITEM = "item"  # an invoice item
        TRIAL = "trial"
        BILLED = "billed"  # what earlier invoices of the same period have billed, taken off

    id = IdField(prefix="il")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="lines", db_index=False)
    position = models.PositiveSmallIntegerField()
    subscription_item = models.ForeignKey(
        SubscriptionItem, null=True, on_delete=models.PROTECT, related_name="invoice_lines"
    )
    item_period = models.ForeignKey(
        ItemPeriod, null=True, on_delete=models.PROTECT, related_name="invoice_lines", db_index=False
    )
    invoice_item = models.ForeignKey(
        InvoiceItem, null=True, on_delete=models.PROTECT, related_name="lines", db_index=False
    )
    price = models.ForeignKey(Price, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=10, choices=Kind)
    tier = models.PositiveSmallIntegerField(null=True)
    revision = models.PositiveSmallIntegerField(default=0)
    quantity = models.DecimalField(max_digits=38, decimal_places=12)
    unit_amount_decimal = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    amount = models.BigIntegerField()
    discountable = models.BooleanField(default=True)
    discount_amounts = models.JSONField(default=list)  # [{"discount": id, "amount": minor units}]
    credit_amounts = models.JSONField(default=list)  # [{"credit_grant": id, "amount", "transaction": when final}]
    tax_amounts = models.JSONField(default=list)  # [{"tax_rate", "amount", "taxable_amount", "inclusive", "reason"}]
    discount_total = models.BigIntegerField(default=0)
    credit_total = models.BigIntegerField(default=0)
    tax_total = models.BigIntegerField(default=0)
    inclusive_tax_total = models.BigIntegerField(default=0)
    tax_rates = ArrayField(models.CharField(max_length=64), default=list)
    currency = models.CharField(max_length=3)
    description = models.TextField()
    formula = models.TextField()
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    proration = models.BooleanField(default=False)
    metadata = models.JSONField(default=dict)
    product = models.CharField(max_length=64, null=True)
    terms = models.JSONField(null=True)
    meter = models.ForeignKey(Meter, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    usage_quantity = models.DecimalField(max_digits=50, decimal_places=12, null=True)
    usage_events = models.PositiveBigIntegerField(null=True)
    usage_snapshot = models.TextField(null=True)
    usage_read_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("invoice", "position")
        indexes = (
            models.Index(
                fields=["invoice_item"], condition=Q(invoice_item__isnull=False), name="invoice_line_by_invoice_item"
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=["invoice", "position"], name="invoice_line_one_per_position"),
            models.UniqueConstraint(
                fields=["item_period", "kind", "tier", "revision"],
                condition=Q(item_period__isnull=False),
                nulls_distinct=False,
                name="invoice_line_billed_once",
            ),
            models.CheckConstraint(
                condition=Q(
                    meter=None,
                    usage_quantity=None,
                    usage_events=None,
                    usage_snapshot=None,
                    usage_read_at=None,
                )
                | Q(
                    meter__isnull=False,
                    usage_quantity__isnull=False,
                    usage_events__isnull=False,
                    usage_snapshot__isnull=False,
                    usage_read_at__isnull=False,
                ),
                name="invoice_line_metered_keeps_its_usage",
            ),
            models.UniqueConstraint(
                fields=["invoice", "invoice_item"],
                condition=Q(invoice_item__isnull=False),
                name="invoice_line_one_per_invoice_item",
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=-(10**26), quantity__lt=10**26), name="invoice_line_quantity_bounded"
            ),
            models.CheckConstraint(
                condition=~Q(kind="item") | Q(invoice_item__isnull=False), name="invoice_line_of_an_item_names_it"
            ),
        )

    def __str__(self) -> str:
        return self.description

    @property
    def snapshot(self) -> Snapshot | None:
        """Which events the line has counted; None for a line that is not metered."""
        if self.usage_snapshot is None or self.usage_read_at is None:
            return None
        return Snapshot(self.usage_snapshot, self.usage_read_at)


class InvoicePreview(models.Model):
    """The answer of a preview, kept so that it can be read again for 72 hours. Not an invoice."""

    id = IdField(prefix="upcoming_in")
    body = models.JSONField()
    lines = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.id
