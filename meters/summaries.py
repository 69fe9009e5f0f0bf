"""Usage in pieces: per hour, day or month, per values of dimensions, or as one figure; of one meter or of many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from core.errors import InvalidRequest, ResourceMissing
from core.ids import DIGITS, base62
from customers.models import Customer
from meters.models import Meter, UsageDay
from meters.usage import WIDTH, UsageBucket, bucket_end, usage, usage_by_dimensions

MAX_BUCKETS = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Summary:
    """One piece. The id is opaque, and the same whenever the same piece is asked for."""

    id: str
    meter: str
    customer: str
    start_time: datetime
    end_time: datetime
    quantity: Decimal
    events: int
    dimensions: Mapping[str, str]

    @property
    def aggregated_value(self) -> Decimal:
        """Stripe's word."""
        return self.quantity


@dataclass(frozen=True)
class SummaryRange:
    """What is asked for: [start, end), in buckets of `window` ("hour", "day", "month") or as one (None), for each
    combination of values of the dimensions `by`, and of the events with one of the values in each dimension of
    `only`."""

    start: datetime
    end: datetime
    window: str | None = None
    by: Sequence[str] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)


def summarize(meter: Meter, customer: Customer, wanted: SummaryRange) -> Sequence[Summary]:
    """The summaries as Stripe has them, newest first: bounds are aligned, and buckets without usage are there with the
    value 0 (unless it is asked for by dimensions).

    Raises InvalidRequest for bounds off the minute or bucket, or the wrong way round, and for unknown dimensions.
    """
    _check_aligned(wanted)
    return pieces(meter, customer, wanted)


def report(meters: Sequence[Meter], customer: Customer, wanted: SummaryRange) -> list[Summary]:
    """The usage of many meters, each newest first; of all that the customer has used, if none are named.

    Raises InvalidRequest as above, but for the alignment: buckets at the ends are cut.
    """
    _check_size(wanted)
    return [piece for meter in meters or _used_meters(customer) for piece in pieces(meter, customer, wanted)]


def pieces(meter: Meter, customer: Customer, wanted: SummaryRange) -> list[Summary]:
    """Raises InvalidRequest for dimensions that the meter does not have."""
    for name in (*wanted.by, *wanted.only):
        if name not in meter.dimension_payload_keys:
            raise InvalidRequest(f"{name} is not a dimension of the meter {meter.pk}.", param="dimension_group_by_keys")
    if wanted.window is None and not wanted.by:
        total = usage(meter, customer, start=wanted.start, end=wanted.end, only=wanted.only)
        return [_summary(meter, customer, UsageBucket(wanted.start, wanted.end, total.quantity, total.events))]
    used = usage_by_dimensions(
        meter, customer, part=(wanted.start, wanted.end), by=wanted.by, bucket=wanted.window, only=wanted.only
    )
    if wanted.by:
        return [_summary(meter, customer, one) for one in sorted(used, key=lambda one: one.start, reverse=True)]
    there = {bucket.start: bucket for bucket in used}
    assert wanted.window is not None
    return [
        _summary(meter, customer, there.get(start, UsageBucket(start, bucket_end(start, wanted.window), Decimal(0), 0)))
        for start in reversed(_starts(wanted))
    ]


def find_customer(customer_id: str) -> Customer:
    """Raises ResourceMissing."""
    customer = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        raise ResourceMissing("customer", customer_id, param="customer")
    return customer


def find_meters(ids: Sequence[str]) -> list[Meter]:
    """In their order. Raises ResourceMissing."""
    found = Meter.objects.in_bulk(ids)
    for place, meter_id in enumerate(ids):
        if meter_id not in found:
            raise ResourceMissing("meter", meter_id, param=f"meters[{place}]")
    return [found[meter_id] for meter_id in ids]


def _used_meters(customer: Customer) -> list[Meter]:
    refs = UsageDay.objects.filter(customer_ref=customer.ref).values("meter_ref").distinct()
    return list(Meter.objects.filter(ref__in=refs).order_by("created_at", "pk"))


def _starts(wanted: SummaryRange) -> list[datetime]:
    """The buckets that the range touches."""
    assert wanted.window is not None
    at = wanted.start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if wanted.window != "hour":
        at = at.replace(hour=0)
    if wanted.window == "month":
        at = at.replace(day=1)
    starts = []
    while at < wanted.end:
        starts.append(at)
        at = bucket_end(at, wanted.window)
    return starts


def _check_size(wanted: SummaryRange) -> None:
    if wanted.start >= wanted.end:
        raise InvalidRequest("end_time must be after start_time.", param="end_time")
    width = WIDTH.get(wanted.window or "")
    if width and (wanted.end - wanted.start) // width > MAX_BUCKETS:
        raise InvalidRequest(
            f"The range holds more than {MAX_BUCKETS} summaries; ask for a shorter one.", param="end_time"
        )


def _check_aligned(wanted: SummaryRange) -> None:
    _check_size(wanted)
    unit = WIDTH.get(wanted.window or "", timedelta(days=1) if wanted.window else timedelta(minutes=1))
    for name, at in (("start_time", wanted.start), ("end_time", wanted.end)):
        if (at - EPOCH) % unit or (wanted.window == "month" and at.astimezone(UTC).day != 1):
            words = f"{wanted.window} boundaries (UTC)" if wanted.window else "minute boundaries"
            raise InvalidRequest(f"{name} must align with {words}.", param=name)


def _summary(meter: Meter, customer: Customer, piece: UsageBucket) -> Summary:
    key: list[Any] = [meter.pk, customer.pk, piece.start.isoformat(), piece.end.isoformat(), *piece.dimensions.items()]
    digest = int.from_bytes(blake2b(" ".join(map(str, key)).encode(), digest_size=16).digest(), "big")
    return Summary(
        f"mtrusg_{base62(digest, DIGITS)}",
        meter.pk,
        customer.pk,
        piece.start,
        piece.end,
        piece.quantity,
        piece.events,
        dict(piece.dimensions),
    )
