"""What the customers of the state machine subscribe to: each scheme of prices, by month, quarter and week."""

from dataclasses import dataclass

from tests import make
from tests.model.model import Price

GRADUATED = [("10", "0.5", "100"), ("250", "1.25", None), (None, "0.3333", "7")]
VOLUME = [("50", "3", None), ("300", "2.005", "40"), (None, "1", None)]


@dataclass(frozen=True)
class Catalog:
    ids: dict[Price, str]
    event_names: dict[str, str]  # by formula
    combinations: list[list[Price]]


def tiered(mode: str, tiers: list[tuple[str | None, str, str | None]]) -> dict:
    rows = [{"up_to": end, "unit_amount_decimal": unit, "flat_amount_decimal": flat} for end, unit, flat in tiers]
    return {"billing_scheme": "tiered", "tiers_mode": mode, "tiers": rows}


def unit(amount: str, **fields: object) -> dict:
    return {"billing_scheme": "per_unit", "unit_amount_decimal": amount, **fields}


def build() -> Catalog:
    meters = {formula: make.meter(f"model_{formula}", formula=formula) for formula in ("sum", "count", "max")}
    tokens = Price("tokens", tiered("graduated", GRADUATED), "sum", months=1)
    calls = Price("calls", unit("7.5", transform_quantity={"divide_by": 3, "round": "up"}), "count", days=7)
    peak = Price("peak", tiered("volume", VOLUME), "max", months=1)
    seat = Price("seat", unit("999.5"), months=1)
    support = Price("support", tiered("graduated", GRADUATED), months=3)
    ids = {
        tokens: make.price(meter=meters["sum"], tiers=GRADUATED, product="tokens"),
        calls: make.price(meter=meters["count"], unit="7.5", per=3, interval="week", product="calls"),
        peak: make.price(meter=meters["max"], tiers=VOLUME, mode="volume", product="peak"),
        seat: make.price(unit="999.5", product="seat"),
        support: make.price(tiers=GRADUATED, count=3, product="support"),
    }
    return Catalog(
        {price: row.pk for price, row in ids.items()},
        {formula: meter.event_name for formula, meter in meters.items()},
        [[tokens, seat], [tokens], [seat, calls, peak], [support, tokens], [calls], [support, seat]],
    )
