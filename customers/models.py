"""Customers, and the test clocks that some of them live on."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Func, Q, Value
from django.db.models.functions import Upper

from core.ids import IdField
from core.money import MAX_AMOUNT
from core.sql import ClockTimestamp
from customers.watch_models import Watch as Watch  # these for Django to find them
from customers.watch_models import WatchMark as WatchMark

MOST_GRACE_SECONDS = 72 * 3600


class TestClockQuerySet(models.QuerySet["TestClock"]):
    def live(self) -> Self:
        """Clocks that are not deleted."""
        return self.filter(deleted_at=None)

    def advancing(self) -> Self:
        return self.filter(status=TestClock.Status.ADVANCING)

    def expired(self, at: datetime) -> Self:
        """Clocks that remove themselves now; one that advances first gets where it goes."""
        return self.filter(deletes_after__lte=at).exclude(status=TestClock.Status.ADVANCING)

    def ids(self) -> list[str]:
        return list(self.values_list("pk", flat=True))


class TestClock(models.Model):
    """A simulated time; everything of the customers attached to it happens by this time. Test mode only."""

    __test__ = False  # not a test case, whatever pytest makes of the name

    class Status(models.TextChoices):
        READY = "ready"
        ADVANCING = "advancing"
        INTERNAL_FAILURE = "internal_failure"

    id = IdField(prefix="clock")
    name = models.CharField(max_length=300, blank=True, default="")
    frozen_time = models.DateTimeField(help_text="What the clock shows now (UTC).")
    target_frozen_time = models.DateTimeField(null=True, editable=False)
    status = models.CharField(max_length=20, choices=Status, default=Status.READY, editable=False)
    created_at = models.DateTimeField(editable=False)
    deletes_after = models.DateTimeField(editable=False, help_text="When the clock removes itself.")
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = TestClockQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(
                condition=Q(status__in=["ready", "advancing", "internal_failure"]),
                name="test_clock_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="advancing", target_frozen_time__isnull=False)
                | (~Q(status="advancing") & Q(target_frozen_time__isnull=True)),
                name="test_clock_advancing_has_target",
            ),
        )

    def __str__(self) -> str:
        return self.name or self.id


class CustomerQuerySet(models.QuerySet["Customer"]):
    def live(self) -> Self:
        """Customers that are not deleted."""
        return self.filter(deleted_at=None)

    def deleted(self) -> Self:
        return self.exclude(deleted_at=None)


class NextCustomerRef(Func):
    """The next small number for a customer; the usage tables know customers by it."""

    function = "nextval"
    output_field = models.BigIntegerField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*(args or (Value("customers_customer_ref_seq"),)), **kwargs)


class Customer(models.Model):
    """Who uses and who pays. A deleted customer keeps its row: invoices and usage go on naming it."""

    class TaxExempt(models.TextChoices):
        NONE = "none"
        EXEMPT = "exempt"
        REVERSE = "reverse"

    class LateUsage(models.TextChoices):
        """What becomes of usage that arrives when the invoice of its period is final."""

        NEXT_INVOICE = "next_invoice"
        ADJUSTMENT = "adjustment"
        HOLD = "hold"
        NOT_BILLED = "not_billed"

    id = IdField(prefix="cus")
    ref = models.BigIntegerField(unique=True, editable=False, db_default=NextCustomerRef())
    name = models.CharField(max_length=256, blank=True, default="")
    email = models.CharField(max_length=512, blank=True, default="")
    phone = models.CharField(max_length=20, blank=True, default="")
    description = models.TextField(max_length=5000, blank=True, default="")
    address = models.JSONField(null=True, blank=True)
    shipping = models.JSONField(null=True, blank=True)
    currency = models.CharField(
        max_length=3,
        blank=True,
        default="",
        editable=False,
        help_text="Set by the first subscription, or change of the balance.",
    )
    # Below zero the customer has credit. Both follow the ledger: a trigger writes them.
    balance = models.BigIntegerField(default=0, db_default=0, editable=False)
    balance_sequence = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    preferred_locales = models.JSONField(default=list, blank=True)
    tax_exempt = models.CharField(max_length=10, choices=TaxExempt, default=TaxExempt.NONE)
    invoice_prefix = models.CharField(max_length=12, unique=True, help_text="Begins the numbers of its invoices.")
    next_invoice_sequence = models.PositiveIntegerField(default=1)
    invoice_footer = models.TextField(max_length=5000, blank=True, default="")
    invoice_custom_fields = models.JSONField(null=True, blank=True)
    # Null: as the installation's setting has it.
    late_usage = models.CharField(max_length=20, choices=LateUsage, null=True, blank=True)
    invoice_grace_seconds = models.PositiveIntegerField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    test_clock = models.ForeignKey(
        TestClock, null=True, blank=True, on_delete=models.PROTECT, related_name="customers", editable=False
    )
    created_at = models.DateTimeField(editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="customer_newest"),
            models.Index(fields=["email"], name="customer_email"),
            models.Index(Upper("email"), name="customer_email_any_case"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(next_invoice_sequence__gte=1), name="customer_sequence_from_one"),
            models.CheckConstraint(
                condition=Q(invoice_prefix__regex=r"^[A-Z0-9]{1,12}$"), name="customer_invoice_prefix_form"
            ),
            models.CheckConstraint(
                condition=Q(tax_exempt__in=["none", "exempt", "reverse"]), name="customer_tax_exempt_known"
            ),
            models.CheckConstraint(
                condition=Q(late_usage__in=["next_invoice", "adjustment", "hold", "not_billed"]),
                name="customer_late_usage_known",
            ),
            models.CheckConstraint(
                condition=Q(invoice_grace_seconds__lte=MOST_GRACE_SECONDS), name="customer_grace_within_72_hours"
            ),
        )

    def __str__(self) -> str:
        return self.name or self.email or self.id

    def now(self, at: datetime) -> datetime:
        """The customer's time when the wall clock shows `at`: its test clock's, if it lives on one."""
        return self.test_clock.frozen_time if self.test_clock else at

    @property
    def late_usage_rule(self) -> LateUsage:
        """Its own rule for late usage, or the installation's."""
        return self.LateUsage(self.late_usage or settings.LATE_USAGE)

    @property
    def invoice_grace(self) -> timedelta:
        """How long its drafts wait for late usage; its own time, or the installation's."""
        own = self.invoice_grace_seconds
        return timedelta(seconds=settings.INVOICE_GRACE_SECONDS if own is None else own)

    @property
    def external_id(self) -> str | None:
        """What the user's own systems call it."""
        return next((row.alias for row in self.aliases.all() if row.is_external_id), None)

    @property
    def ingest_aliases(self) -> list[str]:
        """Its further names in usage, in the order of their letters."""
        return sorted(row.alias for row in self.aliases.all() if not row.is_external_id)


class InvoicePrefix(models.Model):
    """A prefix of invoice numbers and the one customer that has, or once had, it."""

    prefix = models.CharField(max_length=12, primary_key=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="invoice_prefixes")

    def __str__(self) -> str:
        return self.prefix


class CustomerAlias(models.Model):
    """A name other than its id under which usage finds a customer: its external id, or one of its ingest aliases.

    All of these share one set of names, and none can be mistaken for an id. A deleted customer keeps its names.
    """

    alias = models.CharField(max_length=128, primary_key=True, db_collation="C")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="aliases")
    is_external_id = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["customer"], condition=Q(is_external_id=True), name="customer_has_one_external_id"
            ),
            models.CheckConstraint(
                condition=~Q(alias="") & ~Q(alias__startswith="cus_"), name="customer_alias_is_no_id"
            ),
        )

    def __str__(self) -> str:
        return self.alias


class CustomerBalanceTransaction(models.Model):
    """One change of a customer's balance; the ledger that the balance is the sum of.

    A row goes on where the one before it ended, which a trigger checks; only its texts may change. Invoices, credit
    notes and checkout sessions belong to apps above, so only their ids are kept.
    """

    class Type(models.TextChoices):
        ADJUSTMENT = "adjustment"
        APPLIED_TO_INVOICE = "applied_to_invoice"
        CHECKOUT_SESSION_SUBSCRIPTION_PAYMENT = "checkout_session_subscription_payment"
        CHECKOUT_SESSION_SUBSCRIPTION_PAYMENT_CANCELED = "checkout_session_subscription_payment_canceled"
        CREDIT_NOTE = "credit_note"
        INITIAL = "initial"
        INVOICE_OVERPAID = "invoice_overpaid"
        INVOICE_TOO_LARGE = "invoice_too_large"
        INVOICE_TOO_SMALL = "invoice_too_small"
        MIGRATION = "migration"
        UNAPPLIED_FROM_INVOICE = "unapplied_from_invoice"
        UNSPENT_RECEIVER_CREDIT = "unspent_receiver_credit"

    id = IdField(prefix="cbtxn")
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="balance_transactions", db_index=False
    )
    sequence = models.PositiveIntegerField(help_text="1, 2, 3 … of its customer.")
    amount = models.BigIntegerField(help_text="Below zero it is a credit.")
    ending_balance = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    type = models.CharField(max_length=50, choices=Type)
    invoice = models.CharField(max_length=64, blank=True, default="")
    credit_note = models.CharField(max_length=64, blank=True, default="")
    checkout_session = models.CharField(max_length=255, blank=True, default="")
    description = models.CharField(max_length=350, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("customer_id", "-sequence")
        constraints = (
            models.UniqueConstraint(fields=["customer", "sequence"], name="balance_one_row_a_step"),
            # Whoever does it twice for an invoice is refused.
            models.UniqueConstraint(
                fields=["invoice", "type"],
                condition=~Q(invoice="")
                & Q(
                    type__in=["applied_to_invoice", "unapplied_from_invoice", "invoice_too_small", "invoice_too_large"]
                ),
                name="balance_once_an_invoice",
            ),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="balance_sequence_from_one"),
            models.CheckConstraint(
                condition=Q(amount__range=(-MAX_AMOUNT, MAX_AMOUNT))
                & Q(ending_balance__range=(-MAX_AMOUNT, MAX_AMOUNT)),
                name="balance_within_bounds",
            ),
            models.CheckConstraint(condition=Q(currency__regex=r"^[a-z]{3}$"), name="balance_currency_form"),
            models.CheckConstraint(
                condition=Q(
                    type__in=[
                        "adjustment",
                        "applied_to_invoice",
                        "checkout_session_subscription_payment",
                        "checkout_session_subscription_payment_canceled",
                        "credit_note",
                        "initial",
                        "invoice_overpaid",
                        "invoice_too_large",
                        "invoice_too_small",
                        "migration",
                        "unapplied_from_invoice",
                        "unspent_receiver_credit",
                    ]
                ),
                name="balance_type_known",
            ),
        )

    def __str__(self) -> str:
        return self.id


class NumberSeries(models.Model):
    """The invoice numbers of the whole account under one prefix (see `numbers.py`)."""

    prefix = models.CharField(max_length=12, primary_key=True)
    next_sequence = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(next_sequence__gte=1), name="series_sequence_from_one"),
            models.CheckConstraint(condition=Q(prefix__regex=r"^[A-Z0-9]{1,12}$"), name="series_prefix_form"),
        )

    def __str__(self) -> str:
        return self.prefix
