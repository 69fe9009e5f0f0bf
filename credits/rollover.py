"""How long the credits of a period last, and how much of what is left of them goes over into the next period.

Pure arithmetic. What is decided here is in docs/decisions/0039.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal

from core.money import MAX_PLACES, multiply, round_minor

LEAST = Decimal(1).scaleb(-MAX_PLACES)
_QUANTIZE = Context(prec=60, rounding=ROUND_DOWN)


@dataclass(frozen=True)
class Rollover:
    """What becomes of unused credits at the end of their period.

    none: they are gone. unused: they go over into the next period, once, up to the smaller of `fraction` of the
    original amount and `max_amount`, where given. periods: nothing goes over, but they last for `periods` periods.
    """

    kind: str = "none"
    fraction: Decimal | None = None
    max_amount: Decimal | None = None
    periods: int = 1

    def __post_init__(self) -> None:
        capped = self.fraction is not None or self.max_amount is not None
        if self.kind not in ("none", "unused", "periods"):
            raise ValueError(f"unknown rollover {self.kind!r}")
        if capped and self.kind != "unused":
            raise ValueError("only what is unused and goes over has a cap")
        if (self.periods != 1) != (self.kind == "periods"):
            raise ValueError("credits last for two or more periods, or for their own")

    def carried(self, unused: Decimal, original: Decimal, *, of_money: bool) -> Decimal:
        """How much of `unused` goes over. A fraction of money is rounded to the minor unit, of units down."""
        if self.kind != "unused":
            return Decimal(0)
        caps = [unused]
        if self.fraction is not None:
            share = multiply(original, self.fraction)
            caps.append(Decimal(round_minor(share)) if of_money else share.quantize(LEAST, context=_QUANTIZE))
        if self.max_amount is not None:
            caps.append(self.max_amount)
        return min(caps)
