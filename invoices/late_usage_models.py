"""What has changed of the usage of a period after its invoice was final, and what became of the difference."""

from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import F, Q

from core.ids import IdField
from customers.models import Customer
from meters.event_sql import Snapshot
from subscriptions.models import ItemPeriod, Subscription


class LateUsageQuerySet(models.QuerySet["LateUsage"]):
    def waiting(self) -> Self:
        """Differences that wait for a person."""
        return self.filter(state=LateUsage.State.HELD)

    def on_clock(self, clock: str | None) -> Self:
        """Those of customers on the given test clock, or of customers that live in real time."""
        return self.filter(customer__test_clock=clock)

    def left_over(self) -> Self:
        """Differences that the next invoice was to bill, of subscriptions that will have none any more."""
        return self.filter(
            state=LateUsage.State.BILLED,
            invoice_item__invoice=None,
            subscription__status__in=Subscription.ENDED,
        )


class LateUsage(models.Model):
    """That a period whose invoice is final has other usage now: `after` instead of `before`, each with the snapshot it
    was read in, so that exactly the events between them can be named.

    The first revision of a period follows what its invoice has counted, each later one the revision before.
    `rated_before` and `rated_after` are what the quantities cost by the terms on the line, `amount` the difference
    after the discounts of the line; all in minor units. Rows are kept; only what becomes of one may change.
    """

    class State(models.TextChoices):
        FOUND = "found", "No difference in money"
        BILLED = "billed", "Billed"
        CREDITED = "credited", "Credited"
        HELD = "held", "Held"
        NOT_BILLED = "not_billed", "Not billed"
        WAIVED = "waived", "Waived"

    id = IdField(prefix="lu")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="late_usages")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="late_usages")
    item_period = models.ForeignKey(ItemPeriod, on_delete=models.PROTECT, related_name="late_usages")
    line = models.ForeignKey("InvoiceLine", on_delete=models.PROTECT, related_name="late_usages")
    revision = models.PositiveSmallIntegerField()
    rule = models.CharField(max_length=20, choices=Customer.LateUsage)
    state = models.CharField(max_length=10, choices=State)
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField()
    rated_before = models.BigIntegerField()
    rated_after = models.BigIntegerField()
    description = models.TextField()
    formula = models.TextField()
    quantity_before = models.DecimalField(max_digits=50, decimal_places=12)
    quantity_after = models.DecimalField(max_digits=50, decimal_places=12)
    events_before = models.PositiveBigIntegerField()
    events_after = models.PositiveBigIntegerField()
    snapshot_before = models.TextField()
    snapshot_after = models.TextField()
    read_before_at = models.DateTimeField()
    read_after_at = models.DateTimeField()
    created_at = models.DateTimeField()
    invoice_item = models.OneToOneField(
        "InvoiceItem", null=True, on_delete=models.PROTECT, related_name="late_usage", editable=False
    )
    credited_by = models.CharField(
        max_length=64, blank=True, default="", help_text="The balance transaction, or the first grant of credits."
    )
    # What of an amount below zero is in credits: [{"credit_grant": that had paid, "amount", "granted": again or null}]
    credit_amounts = models.JSONField(default=list, editable=False)
    settled_at = models.DateTimeField(null=True)
    settled_by = models.CharField(max_length=150, blank=True, default="")
    reason = models.CharField(max_length=1000, blank=True, default="")

    objects = LateUsageQuerySet.as_manager()

    class Meta:
        db_table = "invoices_lateusage"
        ordering = ("-created_at", "-id")
        verbose_name = "late usage"
        verbose_name_plural = "late usage"
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="late_usage_newest"),
            models.Index(fields=["state", "-created_at", "-id"], name="late_usage_state_newest"),
        )
        constraints = (
            models.UniqueConstraint(fields=["item_period", "revision"], name="late_usage_once_per_revision"),
            models.CheckConstraint(condition=Q(revision__gte=1), name="late_usage_revision_from_one"),
            models.CheckConstraint(
                condition=Q(state__in=["found", "billed", "credited", "held", "not_billed", "waived"]),
                name="late_usage_state_known",
            ),
            models.CheckConstraint(
                condition=Q(rule__in=["next_invoice", "adjustment", "hold", "not_billed"]),
                name="late_usage_rule_known",
            ),
            models.CheckConstraint(
                condition=Q(state="found", amount=0) | ~Q(state="found") & ~Q(amount=0),
                name="late_usage_found_has_no_amount",
            ),
            models.CheckConstraint(
                condition=Q(state="billed", invoice_item__isnull=False) | ~Q(state="billed") & Q(invoice_item=None),
                name="late_usage_billed_has_an_invoice_item",
            ),
            models.CheckConstraint(
                condition=Q(state="credited", amount__lt=0) & ~Q(credited_by="")
                | ~Q(state="credited") & Q(credited_by=""),
                name="late_usage_credited_names_the_credit",
            ),
            models.CheckConstraint(
                condition=~Q(state="waived") | ~Q(settled_by="") & ~Q(reason="") & Q(settled_at__isnull=False),
                name="late_usage_waived_by_somebody_for_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(amount__gt=-(10**15), amount__lt=10**15), name="late_usage_amount_bounded"
            ),
            models.CheckConstraint(
                condition=~Q(quantity_before=F("quantity_after")) | ~Q(events_before=F("events_after")),
                name="late_usage_differs",
            ),
        )

    def __str__(self) -> str:
        return self.description

    @property
    def before(self) -> Snapshot:
        return Snapshot(self.snapshot_before, self.read_before_at)

    @property
    def after(self) -> Snapshot:
        return Snapshot(self.snapshot_after, self.read_after_at)

    @property
    def quantity(self) -> Decimal:
        """By how much the usage has changed."""
        return self.quantity_after - self.quantity_before

    @property
    def in_credits(self) -> int:
        """What of it is given back in credits."""
        return sum(share["amount"] for share in self.credit_amounts)

    @property
    def in_money(self) -> int:
        """What of it is billed, or given back, in money."""
        return self.amount + self.in_credits

    @property
    def may_be_billed(self) -> bool:
        """Whether a person may still have it billed."""
        return self.state in (self.State.HELD, self.State.NOT_BILLED)

    @property
    def may_be_waived(self) -> bool:
        return self.state == self.State.HELD
