"""Subscriptions, their items, and the stored periods of each item."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Min, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from core.ids import IdField
from customers.models import Customer
from pricing.models import Interval, Price
from subscriptions.period_models import ItemPeriod as ItemPeriod  # for Django to find it
from subscriptions.periods import Anchor, Cadence
from subscriptions.schedule_models import SchedulePhase as SchedulePhase  # these for Django to find them
from subscriptions.schedule_models import SubscriptionSchedule as SubscriptionSchedule


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def running(self) -> Self:
        """Subscriptions that have not ended."""
        return self.exclude(status__in=Subscription.ENDED)

    def on_clock(self, clock: str | None) -> Self:
        """Those of customers on the given test clock, or of those that live in real time."""
        return self.filter(customer__test_clock=clock)

    def to_resume(self, at: datetime) -> Self:
        """Running ones whose invoices are to be collected again at `at`."""
        return self.running().filter(pause_collection_resumes_at__lte=at)

    def next_resumption(self) -> datetime | None:
        return self.running().aggregate(earliest=Min("pause_collection_resumes_at"))["earliest"]


class Subscription(models.Model):
    """A customer's standing order: items at prices, billed period by period from one anchor."""

    class Status(models.TextChoices):
        INCOMPLETE = "incomplete"
        INCOMPLETE_EXPIRED = "incomplete_expired"
        TRIALING = "trialing"
        ACTIVE = "active"
        PAST_DUE = "past_due"
        UNPAID = "unpaid"
        PAUSED = "paused"
        CANCELED = "canceled"

    class BillingMode(models.TextChoices):
        CLASSIC = "classic"
        FLEXIBLE = "flexible"

    class ProrationDiscounts(models.TextChoices):
        INCLUDED = "included"
        ITEMIZED = "itemized"

    class MissingPaymentMethod(models.TextChoices):
        CREATE_INVOICE = "create_invoice"
        CANCEL = "cancel"
        PAUSE = "pause"

    class PauseBehavior(models.TextChoices):
        KEEP_AS_DRAFT = "keep_as_draft"
        MARK_UNCOLLECTIBLE = "mark_uncollectible"
        VOID = "void"

    class CollectionMethod(models.TextChoices):
        CHARGE_AUTOMATICALLY = "charge_automatically"
        SEND_INVOICE = "send_invoice"

    class Feedback(models.TextChoices):
        CUSTOMER_SERVICE = "customer_service"
        LOW_QUALITY = "low_quality"
        MISSING_FEATURES = "missing_features"
        OTHER = "other"
        SWITCHED_SERVICE = "switched_service"
        TOO_COMPLEX = "too_complex"
        TOO_EXPENSIVE = "too_expensive"
        UNUSED = "unused"

    ENDED = (Status.CANCELED, Status.INCOMPLETE_EXPIRED)
    PAUSABLE = (Status.ACTIVE, Status.PAST_DUE, Status.UNPAID)

    id = IdField(prefix="sub")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="subscriptions")
    status = models.CharField(max_length=20, choices=Status, default=Status.ACTIVE, editable=False)
    currency = models.CharField(max_length=3, editable=False)
    collection_method = models.CharField(
        max_length=24, choices=CollectionMethod, default=CollectionMethod.CHARGE_AUTOMATICALLY
    )
    days_until_due = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="For invoices that are sent: days from creation until they are due."
    )
    billing_cycle_anchor = models.DateTimeField(help_text="Every period begins a whole number of intervals from here.")
    anchor_day = models.PositiveSmallIntegerField(
        null=True,
        editable=False,
        help_text="The wanted day of month, where the anchor's own month was too short.",
    )
    billing_cycle_anchor_config = models.JSONField(null=True, blank=True, editable=False)
    billing_mode = models.CharField(max_length=10, choices=BillingMode, default=BillingMode.FLEXIBLE, editable=False)
    billing_mode_updated_at = models.DateTimeField(null=True, editable=False)
    proration_discounts = models.CharField(
        max_length=10, choices=ProrationDiscounts, default=ProrationDiscounts.INCLUDED, editable=False
    )
    trial_start = models.DateTimeField(null=True, editable=False)
    trial_end = models.DateTimeField(null=True, editable=False)
    missing_payment_method = models.CharField(
        max_length=16,
        choices=MissingPaymentMethod,
        default=MissingPaymentMethod.CREATE_INVOICE,
        help_text="What happens at the end of a trial without a way to pay.",
    )
    pause_collection = models.CharField(
        max_length=20,
        choices=PauseBehavior,
        null=True,
        editable=False,
        help_text="What becomes of invoices while their collection is paused.",
    )
    pause_collection_resumes_at = models.DateTimeField(null=True, editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    threshold_amount = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="An invoice is made as soon as this much is accrued, in minor units."
    )
    threshold_resets_anchor = models.BooleanField(default=False)
    threshold_mark = models.TextField(
        null=True, editable=False, help_text="What the usage came to when it was last held against the thresholds."
    )
    default_tax_rates = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    invoice_settings = models.JSONField(default=dict, blank=True)
    pending_interval = models.CharField(max_length=5, choices=Interval, null=True, blank=True)
    pending_interval_count = models.PositiveSmallIntegerField(null=True, blank=True)
    next_pending_invoice_at = models.DateTimeField(null=True, editable=False)
    parked_at = models.DateTimeField(
        null=True, editable=False, help_text="Since when it is not billed because its numbers are at fault."
    )
    parked_reason = models.TextField(blank=True, default="", editable=False)
    start_date = models.DateTimeField(editable=False)
    cancel_at = models.DateTimeField(null=True, blank=True)
    cancel_at_period_end = models.BooleanField(default=False)
    canceled_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    cancellation_reason = models.CharField(max_length=40, blank=True, default="", editable=False)
    cancellation_comment = models.TextField(max_length=5000, blank=True, default="")
    cancellation_feedback = models.CharField(max_length=40, choices=Feedback, blank=True, default="")
    description = models.CharField(max_length=500, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    latest_invoice = models.CharField(max_length=64, null=True, editable=False, db_collation="C")
    created_at = models.DateTimeField(editable=False)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(
                fields=["pause_collection_resumes_at"],
                condition=Q(pause_collection_resumes_at__isnull=False),
                name="subscription_to_resume",
            ),
            models.Index(
                fields=["customer"], condition=Q(threshold_mark__isnull=False), name="subscription_with_thresholds"
            ),
            models.Index(
                fields=["next_pending_invoice_at"],
                condition=Q(next_pending_invoice_at__isnull=False),
                name="subscription_to_bill_pending",
            ),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "incomplete",
                        "incomplete_expired",
                        "trialing",
                        "active",
                        "past_due",
                        "unpaid",
                        "paused",
                        "canceled",
                    ]
                ),
                name="subscription_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["canceled", "incomplete_expired"], ended_at__isnull=False)
                | (~Q(status__in=["canceled", "incomplete_expired"]) & Q(ended_at=None)),
                name="subscription_ended_has_end",
            ),
            models.CheckConstraint(
                condition=Q(billing_mode__in=["classic", "flexible"]), name="subscription_billing_mode_known"
            ),
            models.CheckConstraint(
                condition=Q(trial_start=None, trial_end=None) | Q(trial_end__gte=F("trial_start")),
                name="subscription_trial_forward",
            ),
            models.CheckConstraint(
                condition=(Q(status="paused") & Q(paused_at__isnull=False)) | (~Q(status="paused") & Q(paused_at=None)),
                name="subscription_paused_since",
            ),
            models.CheckConstraint(
                condition=Q(pause_collection=None, pause_collection_resumes_at=None)
                | Q(pause_collection__in=["keep_as_draft", "mark_uncollectible", "void"]),
                name="subscription_pause_collection_known",
            ),
            models.CheckConstraint(
                condition=Q(pending_interval=None, pending_interval_count=None, next_pending_invoice_at=None)
                | Q(
                    pending_interval__isnull=False, pending_interval_count__gte=1, next_pending_invoice_at__isnull=False
                ),
                name="subscription_pending_interval_whole",
            ),
            models.CheckConstraint(
                condition=Q(threshold_amount=None) | Q(threshold_amount__gte=50),
                name="subscription_threshold_amount_least",
            ),
            models.CheckConstraint(
                condition=Q(collection_method="send_invoice", days_until_due__isnull=False)
                | Q(collection_method="charge_automatically", days_until_due=None),
                name="subscription_days_until_due_when_sent",
            ),
        )

    def __str__(self) -> str:
        return self.description or self.id

    @property
    def title(self) -> str:
        """What pages call it: its description, or else what it bills. Reads its items."""
        items = self.items.select_related("price__product")
        return self.description or ", ".join(item.price.product.name for item in items if not item.deleted_at)

    @property
    def anchor(self) -> Anchor:
        return Anchor(at=self.billing_cycle_anchor, day_of_month=self.anchor_day)

    @property
    def has_ended(self) -> bool:
        return self.status in self.ENDED

    @property
    def is_trialing(self) -> bool:
        return self.status == self.Status.TRIALING

    @property
    def is_paused(self) -> bool:
        return self.status == self.Status.PAUSED

    @property
    def can_pause(self) -> bool:
        return self.status in self.PAUSABLE

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @property
    def status_at_end(self) -> str:
        """What it becomes when it ends; one that never began expires."""
        never_began = self.status in (self.Status.INCOMPLETE, self.Status.INCOMPLETE_EXPIRED)
        return self.Status.INCOMPLETE_EXPIRED if never_began else self.Status.CANCELED

    @property
    def is_sent(self) -> bool:
        """Whether its invoices are sent to be paid, instead of being charged."""
        return self.collection_method == self.CollectionMethod.SEND_INVOICE

    @property
    def is_flexible(self) -> bool:
        return self.billing_mode == self.BillingMode.FLEXIBLE


def cadence_of(price: Price) -> Cadence:
    """How often a recurring price is billed."""
    assert price.interval, "a subscription's price recurs"
    assert price.interval_count, "a subscription's price recurs"
    return Cadence(price.interval, price.interval_count)


class SubscriptionItemQuerySet(models.QuerySet["SubscriptionItem"]):
    def live(self) -> Self:
        """Items that are not removed."""
        return self.filter(deleted_at=None)

    def with_current_period(self) -> Self:
        """Items with `current_period_start` and `_end`: of the open period, or the last one of all; of a paused
        subscription that which the pause has ended."""
        latest = ItemPeriod.objects.unpaused().filter(item=OuterRef("pk")).order_by("-starts_at", "-pk")
        return self.select_related("price").annotate(
            current_period_start=Subquery(latest.values(start=Coalesce("period_starts_at", "starts_at"))[:1]),
            current_period_end=Subquery(latest.values("ends_at")[:1]),
        )


class SubscriptionItem(models.Model):
    """One price on a subscription; licensed items have a quantity, metered ones do not.

    `price` and `quantity` are what holds now; what held when is with the periods.
    """

    id = IdField(prefix="si")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="items")
    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="subscription_items")
    quantity = models.PositiveBigIntegerField(null=True, blank=True)
    threshold_usage = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="An invoice is made as soon as this much is used in a period."
    )
    tax_rates = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = SubscriptionItemQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["subscription", "price"],
                condition=Q(deleted_at=None),
                name="subscription_item_one_per_price",
            ),
        )

    def __str__(self) -> str:
        return str(self.price)

    @property
    def cadence(self) -> Cadence:
        return cadence_of(self.price)
