"""The tiers of a price as asked for, and what makes a list of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.errors import InvalidRequest, ParameterMissing


@dataclass(frozen=True)
class TierSpec:
    """A tier as asked for; `up_to` None means without end. Amounts in minor units."""

    up_to: Decimal | None
    unit_amount: Decimal | None = None
    flat_amount: Decimal | None = None


def check_tiers(tiers: Sequence[TierSpec], *, param: str = "tiers") -> None:
    """Raises InvalidRequest or ParameterMissing for tiers that do not rise to one without end, each with an amount."""
    if not tiers:
        raise ParameterMissing(param)
    bound = Decimal(0)
    for number, tier in enumerate(tiers):
        here = f"{param}[{number}]"
        last = number == len(tiers) - 1
        if last != (tier.up_to is None):
            raise InvalidRequest("The last tier, and only it, must have up_to=inf.", param=f"{here}[up_to]")
        if tier.up_to is not None:
            if tier.up_to <= bound:
                raise InvalidRequest("Each tier's up_to must be greater than the one before.", param=f"{here}[up_to]")
            bound = tier.up_to
        if tier.unit_amount is None and tier.flat_amount is None:
            raise ParameterMissing(f"{here}[unit_amount]", "Each tier needs a unit amount, a flat amount, or both.")
