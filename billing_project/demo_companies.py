"""Who is in the demo data: invented companies, what they pay for, and how they use it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from billing_project.demo_usage import Shape, calls, chat, nothing, storage
from pricing.coupons import CouponSpec
from pricing.models import Coupon
from pricing.tier_specs import TierSpec


@dataclass(frozen=True)
class Item:
    """Something a company pays for: metered where it has an `event_name`, else `quantity` of it in advance.

    Amounts in minor units; `unit_amount` is for one unit, or for `per` of them.
    """

    product: str
    unit_label: str
    event_name: str | None = None
    formula: str = "sum"
    window: str | None = None
    filters: Sequence[Mapping[str, Any]] = ()
    dimensions: Sequence[str] = ()
    unit_amount: Decimal | None = None
    per: int | None = None
    tiers_mode: str | None = None
    tiers: Sequence[TierSpec] = ()
    quantity: int | None = None


@dataclass(frozen=True)
class Company:
    """A customer with `days` of history in periods of one `interval`; `settled` says what became of its invoices that
    were not paid by themselves, oldest first (those beyond stay open)."""

    name: str
    email: str
    prefix: str
    country: str
    currency: str
    interval: str
    days: float
    items: Sequence[Item]
    use: Shape
    settled: Sequence[str]
    coupon: CouponSpec | None = None
    tax: tuple[str, Decimal] | None = None  # its name and percentage
    trial_days: int | None = None


def tier(up_to: int | None, unit_amount: str, flat_amount: str | None = None) -> TierSpec:
    return TierSpec(
        up_to=None if up_to is None else Decimal(up_to),
        unit_amount=Decimal(unit_amount),
        flat_amount=None if flat_amount is None else Decimal(flat_amount),
    )


COMPANIES = (
    Company(
        name="Lumen Harbor AI",
        email="billing@lumen-harbor.example",
        prefix="LUMEN",
        country="US",
        currency="usd",
        interval="month",
        days=67.4,
        items=(
            Item(
                "Prompt tokens",
                "token",
                event_name="prompt_tokens",
                tiers_mode="graduated",
                tiers=(tier(1_000_000, "0.00025", "1900"), tier(5_000_000, "0.0002"), tier(None, "0.00015")),
            ),
            Item(
                "Completion tokens",
                "token",
                event_name="completion_tokens",
                tiers_mode="graduated",
                tiers=(tier(500_000, "0.001"), tier(None, "0.0008")),
            ),
            Item(
                "Image rendering",
                "second",
                event_name="image_seconds",
                filters=({"key": "status", "not_in_values": ["failed"]},),
                dimensions=("model", "region"),
                unit_amount=Decimal("0.75"),
            ),
        ),
        use=chat,
        settled=("paid",),
        coupon=CouponSpec(
            name="Early bird", percent_off=Decimal(15), duration=Coupon.Duration.REPEATING, duration_in_months=6
        ),
    ),
    Company(
        name="Pigeonpost Maps",
        email="accounts@pigeonpost.example",
        prefix="PIGEON",
        country="IE",
        currency="eur",
        interval="month",
        days=64.2,
        items=(
            Item("Map calls", "call", event_name="api_calls", unit_amount=Decimal("14.5"), per=1000),
            Item("Team seat", "seat", unit_amount=Decimal(2900), quantity=6),
        ),
        use=calls,
        settled=("paid", "paid"),
        tax=("VAT", Decimal(23)),
    ),
    Company(
        name="Cold Attic Storage",
        email="keiri@cold-attic.example",
        prefix="ATTIC",
        country="JP",
        currency="jpy",
        interval="week",
        days=59.6,
        items=(
            Item(
                "Cold storage",
                "GB",
                event_name="stored_gb",
                formula="last",
                window="day",
                tiers_mode="volume",
                tiers=(tier(500, "6", "500"), tier(1000, "5.5", "500"), tier(None, "4.75")),
            ),
            Item("Restored files", "file", event_name="restored_files", formula="count", unit_amount=Decimal("12.5")),
            Item(
                "Fast snapshots",
                "GB-hour",
                event_name="snapshot_gb",
                formula="time_weighted_sum",
                unit_amount=Decimal("0.04"),
            ),
        ),
        use=storage,
        settled=("paid", "paid", "void", "paid", "paid", "uncollectible", "paid"),
    ),
    Company(
        name="Paper Comet Studio",
        email="hello@paper-comet.example",
        prefix="COMET",
        country="US",
        currency="usd",
        interval="month",
        days=9.3,
        items=(Item("Studio seat", "seat", unit_amount=Decimal(1800), quantity=3),),
        use=nothing,
        settled=(),
        trial_days=14,
    ),
)
