"""Which usage a grant pays for, and which grants count where a balance is asked for some usage."""

from collections.abc import Collection, Iterable, Sequence

from django.db.models import Q

from core.errors import InvalidRequest, ResourceMissing
from credits.models import CreditGrant, CreditGrantQuerySet
from pricing.models import Price


def check_prices(ids: Sequence[str], *, param: str, meter: str | None = None) -> list[Price]:
    """The prices of these ids: credits pay for usage of meters only, and units of a meter for that of their own.

    `param` is where they are given. Raises InvalidRequest, ResourceMissing.
    """
    found = Price.objects.select_related("meter").in_bulk(ids)
    for n, id in enumerate(ids):
        at = f"{param}[{n}][id]"
        if id not in found:
            raise ResourceMissing("price", id, param=at)
        price = found[id]
        if price.meter is None or price.takes_usage_records:
            raise InvalidRequest(f"Credits apply to prices with a meter only, and {id} has none.", param=at)
        if meter is not None and price.meter_id != meter:
            raise InvalidRequest(f"The price {id} is of another meter than the grant.", param=at)
    if len(set(ids)) < len(ids):
        raise InvalidRequest("Each price can be named once.", param=param)
    return list(found.values())


def covering(grants: CreditGrantQuerySet, prices: Collection[Price] | None) -> CreditGrantQuerySet:
    """The grants that can pay for all that is asked about: for every one of `prices`, or (None) every metered price.

    A grant for less is left out, so that a balance never says more than the usage it is asked for can use
    (docs/decisions/0038).
    """
    if prices is None:
        return grants.filter(prices=[])
    wide = Q(prices=[], meter=None)
    meters = {price.meter_id for price in prices}
    if len(meters) == 1:
        wide |= Q(prices=[], meter__in=meters)
    return grants.filter(wide | Q(prices__contains=[price.pk for price in prices]))


def products_of(grants: Iterable[CreditGrant]) -> dict[str, str]:
    """The names of the products that the prices which grants are limited to are of, by the ids of the prices."""
    ids = {id for grant in grants for id in grant.prices}
    return dict(Price.objects.filter(pk__in=ids).values_list("pk", "product__name")) if ids else {}
