"""Customers, and the test clocks that some of them live on."""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Func, Q, Value
from django.db.models.functions import Upper

from core.ids import IdField
from core.sql import ClockTimestamp


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

    id = IdField(prefix="cus")
    ref = models.BigIntegerField(unique=True, editable=False, db_default=NextCustomerRef())
    name = models.CharField(max_length=256, blank=True, default="")
    email = models.CharField(max_length=512, blank=True, default="")
    phone = models.CharField(max_length=20, blank=True, default="")
    description = models.TextField(max_length=5000, blank=True, default="")
    address = models.JSONField(null=True, blank=True)
    shipping = models.JSONField(null=True, blank=True)
    currency = models.CharField(
        max_length=3, blank=True, default="", editable=False, help_text="Set by the first subscription."
    )
    preferred_locales = models.JSONField(default=list, blank=True)
    tax_exempt = models.CharField(max_length=10, choices=TaxExempt, default=TaxExempt.NONE)
    invoice_prefix = models.CharField(max_length=12, unique=True, help_text="Begins the numbers of its invoices.")
    next_invoice_sequence = models.PositiveIntegerField(default=1)
    invoice_footer = models.TextField(max_length=5000, blank=True, default="")
    invoice_custom_fields = models.JSONField(null=True, blank=True)
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
        )

    def __str__(self) -> str:
        return self.name or self.email or self.id

    def now(self, at: datetime) -> datetime:
        """The customer's time when the wall clock shows `at`: its test clock's, if it lives on one."""
        return self.test_clock.frozen_time if self.test_clock else at

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
