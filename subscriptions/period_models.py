"""The stored periods of each item: slices of time at one price and quantity."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import Exists, F, Func, Max, Min, OuterRef, Q

from pricing.models import Price
from subscriptions.periods import Period
from subscriptions.schedule_models import SubscriptionSchedule


class ItemPeriodQuerySet(models.QuerySet["ItemPeriod"]):
    def open(self) -> Self:
        """Periods that run; each item of a running subscription has one."""
        return self.filter(closed_at=None, is_cut=False)

    def unbilled(self) -> Self:
        """Periods not closed yet: those that run, and parts cut off by a change that wait for the next invoice."""
        return self.filter(closed_at=None)

    def unpaused(self) -> Self:
        """Periods in which the subscription ran."""
        return self.exclude(kind=ItemPeriod.Kind.PAUSED)

    def waiting(self) -> Self:
        """Parts cut off by a change whose usage is not billed yet."""
        return self.filter(closed_at=None, is_cut=True, kind=ItemPeriod.Kind.REGULAR)

    def due(self, at: datetime) -> Self:
        """Periods to be closed at `at`; those that end when a phase of a schedule begins wait until it has begun."""
        changing = SubscriptionSchedule.objects.filter(
            subscription=OuterRef("item__subscription"), next_at__lte=OuterRef("bills_at")
        )
        return self.unbilled().filter(~Exists(changing), bills_at__lte=at)

    def not_parked(self) -> Self:
        """Periods of subscriptions that are not set aside."""
        return self.filter(item__subscription__parked_at=None)

    def on_clock(self, clock: str | None) -> Self:
        """Periods of customers on the given test clock, or of those that live in real time."""
        return self.filter(item__subscription__customer__test_clock=clock)

    def earliest_end(self) -> datetime | None:
        return self.aggregate(earliest=Min("ends_at"))["earliest"]

    def next_bill(self) -> datetime | None:
        """When the first of these is to be closed."""
        return self.aggregate(earliest=Min("bills_at"))["earliest"]

    def latest_start(self) -> datetime | None:
        return self.aggregate(latest=Max("starts_at"))["latest"]


class _PeriodRange(Func):
    function = "TSTZRANGE"
    output_field = DateTimeRangeField()


class ItemPeriod(models.Model):
    """One period of one item, [starts_at, ends_at), at one price and quantity.

    Periods of an item tile time; a closed one never changes. A change in the middle of a period cuts it in two, each
    with its own terms. `whole_starts_at` and `whole_ends_at` bound the full period that a shorter one is billed as a
    share of; null where it is billed in full. `billed_*` are kept of a licensed one that a change has opened or
    shortened: what has billed it (in minor units), for which time, and by which invoice lines or invoice items.
    """

    class Kind(models.TextChoices):
        REGULAR = "regular"
        TRIAL = "trial"  # nothing is billed; an invoice shows it as a free trial
        FREE = "free"  # nothing is billed, and nothing shown
        PAUSED = "paused"  # between pause and resume

    class Outcome(models.TextChoices):
        INVOICED = "invoiced"
        DISCARDED = "discarded"
        FREE = "free"

    item = models.ForeignKey(
        "subscriptions.SubscriptionItem", on_delete=models.PROTECT, related_name="periods", db_index=False
    )
    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="+", db_index=False)
    quantity = models.PositiveBigIntegerField(null=True)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.REGULAR)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    period_starts_at = models.DateTimeField(
        null=True, editable=False, help_text="Where the period that a change has cut in two began."
    )
    bills_at = models.DateTimeField(help_text="When it is closed: at its end; a part that was cut off, with the rest.")
    is_cut = models.BooleanField(default=False, help_text="Ended by a change before its time.")
    whole_starts_at = models.DateTimeField(null=True)
    whole_ends_at = models.DateTimeField(null=True)
    billed_amount = models.BigIntegerField(null=True, editable=False)
    billed_starts_at = models.DateTimeField(null=True, editable=False)
    billed_ends_at = models.DateTimeField(null=True, editable=False)
    billed_by = ArrayField(models.CharField(max_length=64), default=list, editable=False)
    closed_at = models.DateTimeField(null=True, editable=False)
    outcome = models.CharField(max_length=10, choices=Outcome, null=True, editable=False)

    # Not stored. What the line of a licensed slice on a draft pays for: changes since then do not shorten it.
    paid_period: Period | None = None

    objects = ItemPeriodQuerySet.as_manager()

    class Meta:
        ordering = ("item", "starts_at")
        indexes = (
            models.Index(fields=["bills_at"], condition=Q(closed_at=None), name="item_period_to_close"),
            models.Index(fields=["item", "starts_at"], name="item_period_by_item"),
        )
        constraints = (
            ExclusionConstraint(
                name="item_period_no_overlap",
                expressions=[
                    ("item", RangeOperators.EQUAL),
                    (_PeriodRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
            models.UniqueConstraint(
                fields=["item"], condition=Q(closed_at=None, is_cut=False), name="item_period_one_open_per_item"
            ),
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="item_period_forward"),
            models.CheckConstraint(condition=Q(bills_at__gte=F("ends_at")), name="item_period_billed_after_its_end"),
            models.CheckConstraint(
                condition=Q(closed_at=None, outcome=None)
                | Q(closed_at__isnull=False, outcome__in=["invoiced", "discarded", "free"]),
                name="item_period_closed_has_outcome",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["regular", "trial", "free", "paused"]), name="item_period_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(whole_starts_at=None, whole_ends_at=None)
                | Q(whole_starts_at__lte=F("starts_at"), whole_ends_at__gte=F("ends_at")),
                name="item_period_part_of_whole",
            ),
            models.CheckConstraint(
                condition=Q(billed_amount=None, billed_starts_at=None, billed_ends_at=None)
                | Q(billed_amount__isnull=False, billed_ends_at__gte=F("billed_starts_at")),
                name="item_period_billed_for_a_time",
            ),
        )

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} to {self.ends_at:%Y-%m-%d}"

    @property
    def runs(self) -> bool:
        return self.closed_at is None and not self.is_cut

    @property
    def period(self) -> Period:
        return Period(self.starts_at, self.ends_at)

    @property
    def whole(self) -> Period | None:
        if self.whole_starts_at is None or self.whole_ends_at is None:
            return None
        return Period(self.whole_starts_at, self.whole_ends_at)
