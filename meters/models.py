"""Meters, and the events they count. Events are append-only; a meter's rules never change."""

from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Func, Q, Value

from core.ids import IdField
from core.sql import ClockTimestamp, CurrentTransaction, TransactionIdField
from meters.aggregations import formula_choices
from meters.quarantine_models import QuarantinedEvent as QuarantinedEvent  # for Django to find it


class MeterQuerySet(models.QuerySet["Meter"]):
    def active(self) -> Self:
        """Meters that accept events and new prices."""
        return self.filter(status=Meter.Status.ACTIVE)

    def listed(self) -> Self:
        """Meters that people and programs know of; the others are `meters/own_meters.py`'s."""
        return self.filter(hidden=False)


class NextMeterRef(Func):
    """The next small number for a meter; the usage tables know meters by it."""

    function = "nextval"
    output_field = models.IntegerField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*(args or (Value("meters_meter_ref_seq"),)), **kwargs)


class Meter(models.Model):
    """What is counted: events of one name, folded into one quantity per customer and period."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        INACTIVE = "inactive"

    class Window(models.TextChoices):
        DAY = "day"
        HOUR = "hour"

    id = IdField(prefix="mtr")
    ref = models.IntegerField(unique=True, editable=False, db_default=NextMeterRef())
    display_name = models.CharField(max_length=250, help_text="What people see; it can be changed later.")
    event_name = models.CharField(max_length=100, help_text="The name under which events are sent; it is fixed.")
    event_time_window = models.CharField(
        max_length=4,
        choices=Window,
        null=True,
        blank=True,
        help_text="Set it when each event carries the total of its hour or day: the latest received then replaces the "
        "earlier ones. Leave it empty when every event counts.",
    )
    formula = models.CharField(
        max_length=20, choices=formula_choices, help_text="How the values of a period become one quantity."
    )
    customer_key = models.CharField(
        max_length=100,
        default="stripe_customer_id",
        help_text="The key of the payload that holds the customer's id.",
    )
    value_key = models.CharField(
        max_length=100, default="value", help_text="The key of the payload that holds the number."
    )
    filters = models.JSONField(
        default=list,
        blank=True,
        help_text="Conditions on the payload; events that do not meet all of them are kept and not counted.",
    )
    dimension_payload_keys = models.JSONField(
        default=list,
        blank=True,
        help_text="Keys of the payload by which usage can be grouped and priced; every event has to have them.",
    )
    hidden = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Made for one price: it counts usage records, takes no events from outside and is not listed.",
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE, editable=False)
    deactivated_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    objects = MeterQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["event_name"],
                condition=Q(status="active"),
                name="meter_event_name_of_one_active_meter",
            ),
            models.CheckConstraint(condition=Q(status__in=["active", "inactive"]), name="meter_status_known"),
            models.CheckConstraint(
                condition=Q(event_time_window=None) | Q(event_time_window__in=["day", "hour"]),
                name="meter_window_known",
            ),
        )

    def __str__(self) -> str:
        return self.display_name

    @property
    def left_out_ref(self) -> int:
        """Under this number are kept the events that the meter's filters leave out, in table and rollup alike."""
        return -self.ref


class MeterEvent(models.Model):
    """One accepted event. It names its customer and meter by `ref` and has no foreign keys: it is the hot table.

    `ident` is the hash of the identifier and the guard against counting twice: the table is partitioned by `epoch`
    (docs/decisions/0020), its key is (ident, epoch), and ingestion looks into the epochs before. To Django `ident`
    alone is the key: its admin knows keys of one column only. `meter_ref` is negative where the meter's filters leave
    the event out. `value` is the number sent; for a meter that counts different texts, a hash of the text. `sent_key`
    is a hash of the Idempotency-Key it came with, 0 if none. `payload` lacks what the columns say as well: see
    `meters/payloads.py`. `txid` is the transaction that wrote it: with the snapshot kept on an invoice line it tells
    exactly which events that line has counted.
    """

    ident = models.UUIDField(primary_key=True)
    timestamp = models.DateTimeField()
    received_at = models.DateTimeField(db_default=ClockTimestamp())
    txid = TransactionIdField(db_default=CurrentTransaction(), editable=False)
    dimension_ref = models.BigIntegerField(default=0)
    customer_ref = models.IntegerField()
    meter_ref = models.IntegerField()
    sent_key = models.IntegerField(default=0)
    epoch = models.SmallIntegerField()
    timestamp_given = models.BooleanField(default=True)
    value = models.DecimalField(max_digits=38, decimal_places=12)
    identifier = models.CharField(max_length=100)
    payload = models.JSONField(default=dict)

    class Meta:
        ordering = ("-timestamp", "-received_at", "-ident")
        indexes = (
            models.Index(
                fields=["customer_ref", "meter_ref", "timestamp"],
                include=["value", "epoch"],
                name="event_by_customer_meter",
            ),
        )
        constraints = (
            # The upper bound is what refuses NaN, which is larger than every number.
            models.CheckConstraint(condition=Q(value__gt=-(10**26)) & Q(value__lt=10**26), name="event_value_bounded"),
        )

    def __str__(self) -> str:
        return self.identifier


class EventCancellation(models.Model):
    """That an event does not count any more, from the moment this row is committed. The event itself stays."""

    id = IdField(prefix="mtr_event_adj")
    ident = models.UUIDField()
    epoch = models.SmallIntegerField()
    customer_ref = models.IntegerField()
    meter_ref = models.IntegerField()
    timestamp = models.DateTimeField(help_text="When the event happened.")
    cancelled_at = models.DateTimeField(db_default=ClockTimestamp())
    txid = TransactionIdField(db_default=CurrentTransaction(), editable=False)
    reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = (models.Index(fields=["customer_ref", "meter_ref", "timestamp"], name="cancellation_by_customer"),)
        constraints = (models.UniqueConstraint(fields=["ident", "epoch"], name="event_cancelled_once"),)

    def __str__(self) -> str:
        return self.id


class UsageDay(models.Model):
    """What the events of a customer, meter and combination of dimensions come to on one UTC day. Derived: written in
    the statement that stores the events, so no reader ever sees one without the other, and computed anew by
    `manage.py rebuild_rollups`."""

    pk = models.CompositePrimaryKey("customer_ref", "meter_ref", "day", "dimension_ref")
    customer_ref = models.IntegerField()
    meter_ref = models.IntegerField()
    day = models.DateField()
    dimension_ref = models.BigIntegerField(default=0)
    n = models.BigIntegerField()
    total = models.DecimalField(max_digits=60, decimal_places=12)
    vmax = models.DecimalField(max_digits=38, decimal_places=12)
    vmin = models.DecimalField(max_digits=38, decimal_places=12)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(n__gt=0), name="usage_day_has_events"),)

    def __str__(self) -> str:
        return f"{self.customer_ref}, {self.meter_ref}, {self.day}"


class UsageItem(models.Model):
    """How often a meter that counts different values has seen each on a day. Derived, as `UsageDay` is."""

    pk = models.CompositePrimaryKey("customer_ref", "meter_ref", "day", "dimension_ref", "value")
    dimension_ref = models.BigIntegerField()
    n = models.BigIntegerField()
    customer_ref = models.IntegerField()
    meter_ref = models.IntegerField()
    day = models.DateField()
    value = models.DecimalField(max_digits=38, decimal_places=12)

    def __str__(self) -> str:
        return f"{self.customer_ref}, {self.meter_ref}, {self.day}"


class Dimensions(models.Model):
    """The values that a `dimension_ref` stands for, in the order of the keys of the meter. See meters/dimensions.py."""

    ref = models.BigIntegerField(primary_key=True)
    meter_ref = models.IntegerField(db_index=True)
    values = ArrayField(models.TextField())

    class Meta:
        db_table = "meters_dimensions"

    def __str__(self) -> str:
        return ", ".join(self.values)


class IngestEpoch(models.Model):
    """One month of receipt: its partition, and the file that takes its place. The table is made in SQL (0003, 0014);
    rows are written by `meters/epochs.py` and `meters/archive.py`."""

    epoch = models.SmallIntegerField(primary_key=True)
    started_at = models.DateTimeField()
    measured_at = models.DateTimeField(null=True)
    oldest = models.DateTimeField("oldest event", null=True)
    newest = models.DateTimeField("newest event", null=True)
    archived_at = models.DateTimeField(null=True)
    archive_path = models.TextField("file", null=True)
    archive_sha256 = models.TextField("SHA-256", null=True)
    archive_rows = models.BigIntegerField(null=True)
    detached_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "meters_ingestepoch"
        ordering = ("-epoch",)
        verbose_name = "month of events"
        verbose_name_plural = "months of events"

    def __str__(self) -> str:
        return f"{2000 + self.epoch // 100}-{self.epoch % 100:02}"
