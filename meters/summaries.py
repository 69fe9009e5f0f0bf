"""Usage per hour, per day, or as one figure, for `event_summaries`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b

from core.errors import InvalidRequest, ResourceMissing
from core.ids import DIGITS, base62
from customers.models import Customer
from meters.models import Meter
from meters.usage import WIDTH, usage, usage_by

MAX_BUCKETS = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Summary:
    """One bucket. The id is opaque, and the same whenever the same bucket is asked for."""

    id: str
    meter: str
    start_time: datetime
    end_time: datetime
    aggregated_value: Decimal


@dataclass(frozen=True)
class SummaryRange:
    """What is asked for: [start, end), in buckets of `window` ("hour", "day") or as one (None)."""

    start: datetime
    end: datetime
    window: str | None = None


def summarize(meter: Meter, customer: Customer, wanted: SummaryRange) -> Sequence[Summary]:
    """The summaries, newest first; buckets without usage are there with the value 0.

    Raises InvalidRequest for bounds off the minute, hour or day, or the wrong way round.
    """
    check_range(wanted)
    if wanted.window is None:
        total = usage(meter, customer, start=wanted.start, end=wanted.end).quantity
        return [_summary(meter, customer, wanted.start, wanted.end, total)]
    used = usage_by(meter, customer, start=wanted.start, end=wanted.end, bucket=wanted.window)
    quantities = {bucket.start: bucket.quantity for bucket in used}
    width = WIDTH[wanted.window]
    starts = [wanted.start + n * width for n in range((wanted.end - wanted.start) // width)]
    return [
        _summary(meter, customer, start, start + width, quantities.get(start, Decimal(0))) for start in reversed(starts)
    ]


def check_range(wanted: SummaryRange) -> None:
    """Raises InvalidRequest."""
    if wanted.start >= wanted.end:
        raise InvalidRequest("end_time must be after start_time.", param="end_time")
    unit = WIDTH[wanted.window] if wanted.window else timedelta(minutes=1)
    for name, at in (("start_time", wanted.start), ("end_time", wanted.end)):
        if (at - EPOCH) % unit:
            words = f"{wanted.window} boundaries (UTC)" if wanted.window else "minute boundaries"
            raise InvalidRequest(f"{name} must align with {words}.", param=name)
    if (wanted.end - wanted.start) // unit > MAX_BUCKETS and wanted.window:
        raise InvalidRequest(
            f"The range holds more than {MAX_BUCKETS} summaries; ask for a shorter one.", param="end_time"
        )


def find_customer(customer_id: str) -> Customer:
    """Raises ResourceMissing."""
    customer = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        raise ResourceMissing("customer", customer_id, param="customer")
    return customer


def _summary(meter: Meter, customer: Customer, start: datetime, end: datetime, value: Decimal) -> Summary:
    key = f"{meter.pk} {customer.pk} {start.isoformat()} {end.isoformat()}"
    digest = int.from_bytes(blake2b(key.encode(), digest_size=16).digest(), "big")
    return Summary(f"mtrusg_{base62(digest, DIGITS)}", meter.pk, start, end, value)
