"""How credits are spoken of on the pages. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from core.money import CONTEXT, exponent, format_minor
from credits.models import AutoTopUp, CreditGrant, CreditTransaction, RecurringCreditGrant
from meters.models import Meter
from portal.formats import day, group
from portal.projection import Projection

Type = CreditTransaction.Type
THOUSANDTH = Decimal("0.001")  # a mean of units is not told more closely
STATES = {
    "granted": "Active",
    "pending": "Pending",
    "depleted": "Used up",
    "expired": "Expired",
    "voided": "Voided",
}


def written(value: Decimal, currency: str, meter: Meter | None) -> str:
    """An amount of money, or of units of a meter: "$12.50", "1,200 × Tokens"."""
    if meter is not None:
        return f"{group(value)} × {meter.display_name}"
    return format_minor(int(value), currency)


def places(currency: str) -> int:
    return exponent(currency) if currency else 0


def written_of(grant: CreditGrant, value: Decimal) -> str:
    return written(value, grant.currency, grant.meter)


def name_of(grant: CreditGrant) -> str:
    return grant.name or f"{grant.get_category_display()} credits of {day(grant.created_at)}"


def scope_of(grant: CreditGrant, products: Mapping[str, str]) -> str:
    """What it pays for; `products` are names by the ids of prices."""
    if grant.prices:
        return ", ".join(sorted({products.get(id, id) for id in grant.prices}))
    return f"All usage of {grant.meter.display_name}" if grant.meter else "All metered usage"


def end_of(grant: CreditGrant, at: datetime) -> str:
    """When it begins or ends, or how it ended."""
    state = grant.state(at)
    if state == "voided" and grant.voided_at:
        return f"Voided {day(grant.voided_at)}"
    if state == "expired" and grant.expires_at:
        return f"Ended {day(grant.expires_at)}"
    begins = f"From {day(grant.effective_at)}, " if state == "pending" else ""
    ends = f"until {day(grant.expires_at)}" if grant.expires_at else "never expires"
    return (begins + ends)[:1].upper() + (begins + ends)[1:]


def headline_of(found: Projection) -> str:
    """When it runs out, in a few words."""
    when = day(found.at) if found.at else ""
    return {
        "empty": "Nothing is left",
        "too_early": "Too early to say when it runs out",
        "no_use": "No use yet",
        "runs_out": f"Runs out about {when}",
        "expires": f"Not used up at this rate: it ends {when}",
        "lasts": "Not used up at this rate for more than ten years",
    }[found.outcome]


def basis_of(found: Projection, currency: str, meter: Meter | None) -> str:
    """How that was projected."""
    full = "the last full day" if found.days == 1 else f"the last {found.days} full days"
    if found.outcome == "too_early":
        return "The date is projected once there is a full day of use (UTC)."
    if found.outcome == "no_use":
        return f"Nothing was used in {full}, so no date can be told."
    if found.outcome == "empty":
        return ""
    rate = written(found.per_day.quantize(Decimal(1) if currency else THOUSANDTH, context=CONTEXT), currency, meter)
    words = f"Projected from {rate} a day, the mean of {full} (UTC)."
    if found.outcome == "expires":
        return f"{words} {written(found.lost, currency, meter)} would be left then."
    if found.lost >= 1:
        return f"{words} {written(found.lost, currency, meter)} of it would end unused before."
    return words


def event_of(row: CreditTransaction, grant: CreditGrant, *, came_back: bool) -> str:
    """What a transaction did, without its invoice; `came_back`: just before it, credits of a void invoice did."""
    if row.type == Type.CREDITS_GRANTED:
        carried = grant.rolled_over_from_id is not None
        return "Carried over from the period before" if carried else f"{grant.get_category_display()} credits granted"
    if row.type == Type.CREDITS_EXPIRED:
        return (
            "Expired at once: what came back had ended meanwhile"
            if came_back
            else "Expired: what was left at the end can no longer be used"
        )
    return {
        Type.CREDITS_APPLIED: "Paid for usage",
        Type.CREDITS_APPLICATION_INVOICE_VOIDED: "Given back, because the invoice it had paid for is void",
        Type.CREDITS_VOIDED: "Taken back: the grant was voided, and nothing of it had been used",
    }[Type(row.type)]


def rule_of(rule: AutoTopUp) -> str:
    """When an automatic purchase is made, and of how much."""
    threshold, target = (format_minor(amount, rule.currency) for amount in (rule.threshold, rule.target))
    return f"When {threshold} or less is left, credits are bought up to {target}."


def rhythm_of(allowance: RecurringCreditGrant) -> str:
    """How often: "every month", "every 2 weeks"."""
    count = allowance.interval_count
    return f"every {allowance.interval}" if count == 1 else f"every {count} {allowance.interval}s"


def rollover_of(allowance: RecurringCreditGrant) -> str:
    """What becomes of the rest of a period."""
    if allowance.rollover == allowance.Kind.PERIODS:
        return f"What is unused lasts for {allowance.lasts_periods} periods."
    most = allowance.carries
    if most is None:
        return "What is unused at the end of a period is gone."
    capped = most < allowance.amount
    limit = f", up to {written(most, allowance.currency, allowance.meter)}" if capped else ""
    return f"What is unused goes over into the next period{limit}."
