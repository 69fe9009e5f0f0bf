"""Credit notes and their lines. A note that is issued stays; only its texts change, and it may become void."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from core.ids import IdField
from customers.models import Customer, CustomerBalanceTransaction


class CreditNoteQuerySet(models.QuerySet["CreditNote"]):
    def issued(self) -> Self:
        """Those that count."""
        return self.filter(status=CreditNote.Status.ISSUED)


class CreditNote(models.Model):
    """What is taken back of a finalized invoice; amounts in minor units of its currency.

    `pre_payment_amount` of it lowers what is still to be paid; `post_payment_amount` goes back to the customer in the
    three ways below it. A trigger sees to it that the notes of an invoice never exceed its total.
    """

    class Status(models.TextChoices):
        ISSUED = "issued"
        VOID = "void"

    class Type(models.TextChoices):
        PRE_PAYMENT = "pre_payment"
        POST_PAYMENT = "post_payment"
        MIXED = "mixed"

    class Reason(models.TextChoices):
        DUPLICATE = "duplicate"
        FRAUDULENT = "fraudulent"
        ORDER_CHANGE = "order_change"
        PRODUCT_UNSATISFACTORY = "product_unsatisfactory"

    id = IdField(prefix="cn")
    invoice = models.ForeignKey(
        "invoices.Invoice", on_delete=models.PROTECT, related_name="credit_notes", db_index=False
    )
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="credit_notes")
    sequence = models.PositiveIntegerField(help_text="1, 2, 3 … of its invoice.")
    number = models.CharField(max_length=40, unique=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.ISSUED)
    type = models.CharField(max_length=12, choices=Type)
    reason = models.CharField(max_length=25, choices=Reason, null=True, blank=True)
    currency = models.CharField(max_length=3)
    subtotal = models.BigIntegerField()
    discount_amount = models.BigIntegerField(default=0)
    credit_total = models.BigIntegerField(default=0)
    tax_total = models.BigIntegerField(default=0)
    inclusive_tax_total = models.BigIntegerField(default=0)
    total = models.BigIntegerField()
    pre_payment_amount = models.BigIntegerField(default=0)
    post_payment_amount = models.BigIntegerField(default=0)
    refund_amount = models.BigIntegerField(default=0)
    credit_amount = models.BigIntegerField(default=0)
    out_of_band_amount = models.BigIntegerField(default=0)
    customer_balance_transaction = models.OneToOneField(
        CustomerBalanceTransaction, null=True, on_delete=models.PROTECT, related_name="+"
    )
    memo = models.TextField(max_length=5000, blank=True, default="", help_text="The customer sees it.")
    metadata = models.JSONField(default=dict, blank=True)
    effective_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    objects = CreditNoteQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (models.Index(fields=["-created_at", "-id"], name="credit_note_newest"),)
        constraints = (
            models.UniqueConstraint(fields=["invoice", "sequence"], name="credit_note_one_per_sequence"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="credit_note_sequence_from_one"),
            models.CheckConstraint(
                condition=Q(status="issued", voided_at=None) | Q(status="void", voided_at__isnull=False),
                name="credit_note_void_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(reason__in=["duplicate", "fraudulent", "order_change", "product_unsatisfactory"]),
                name="credit_note_reason_known",
            ),
            models.CheckConstraint(
                condition=Q(total__gt=0)
                & Q(total=F("subtotal") - F("discount_amount") - F("credit_total") + F("tax_total")),
                name="credit_note_total_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(
                    subtotal__gte=0,
                    discount_amount__gte=0,
                    credit_total__gte=0,
                    tax_total__gte=0,
                    inclusive_tax_total__gte=0,
                    pre_payment_amount__gte=0,
                    refund_amount__gte=0,
                    credit_amount__gte=0,
                    out_of_band_amount__gte=0,
                ),
                name="credit_note_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(total=F("pre_payment_amount") + F("post_payment_amount"))
                & Q(post_payment_amount=F("refund_amount") + F("credit_amount") + F("out_of_band_amount")),
                name="credit_note_goes_somewhere",
            ),
            models.CheckConstraint(
                condition=Q(type="pre_payment", post_payment_amount=0)
                | Q(type="post_payment", pre_payment_amount=0)
                | Q(type="mixed", pre_payment_amount__gt=0, post_payment_amount__gt=0),
                name="credit_note_type_says_where",
            ),
            models.CheckConstraint(
                condition=Q(credit_amount=0, customer_balance_transaction=None)
                | Q(credit_amount__gt=0, customer_balance_transaction__isnull=False),
                name="credit_note_credit_is_in_the_ledger",
            ),
        )

    def __str__(self) -> str:
        return self.number

    @property
    def total_excluding_tax(self) -> int:
        return self.total - self.tax_total - self.inclusive_tax_total


class CreditNoteLine(models.Model):
    """A share of one line of the invoice, or an amount of its own (`invoice_line` is null).

    `amount` is before discounts; the lists name the same discounts, credits and tax rates, in the same order, as those
    of the line.
    """

    id = IdField(prefix="cnli")
    credit_note = models.ForeignKey(CreditNote, on_delete=models.PROTECT, related_name="lines", db_index=False)
    position = models.PositiveSmallIntegerField()
    invoice_line = models.ForeignKey(
        "invoices.InvoiceLine", null=True, on_delete=models.PROTECT, related_name="credit_note_lines"
    )
    description = models.TextField(max_length=5000)
    quantity = models.DecimalField(max_digits=38, decimal_places=12, null=True)  # null: credited by amount
    unit_amount_decimal = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    amount = models.BigIntegerField()
    discount_amount = models.BigIntegerField(default=0)
    credit_total = models.BigIntegerField(default=0)
    tax_total = models.BigIntegerField(default=0)
    inclusive_tax_total = models.BigIntegerField(default=0)
    discount_amounts = models.JSONField(default=list)
    credit_amounts = models.JSONField(default=list)
    tax_amounts = models.JSONField(default=list)
    tax_rates = ArrayField(models.CharField(max_length=64), default=list)
    metadata = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("credit_note", "position")
        constraints = (
            models.UniqueConstraint(fields=["credit_note", "position"], name="credit_note_line_one_per_position"),
            models.CheckConstraint(
                condition=Q(
                    amount__gte=0,
                    discount_amount__gte=0,
                    credit_total__gte=0,
                    tax_total__gte=0,
                    inclusive_tax_total__gte=0,
                ),
                name="credit_note_line_not_negative",
            ),
        )

    def __str__(self) -> str:
        return self.description

    @property
    def kind(self) -> str:
        """Stripe's `type` of the line."""
        return "invoice_line_item" if self.invoice_line_id else "custom_line_item"

    @property
    def net(self) -> int:
        """What discounts and credits leave of the amount."""
        return self.amount - self.discount_amount - self.credit_total

    @property
    def total(self) -> int:
        return self.net + self.tax_total

    @property
    def unit_amount(self) -> int | None:
        """Stripe's whole number, where it is one; `unit_amount_decimal` has it always."""
        unit = self.unit_amount_decimal
        return int(unit) if unit is not None and unit == unit.to_integral_value() else None
