"""Where discounts stand: sets them on an owner, takes them away, spends them, and says which hold at an instant."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from core.errors import BillingError, InvalidRequest, NotFound, ParametersExclusive, ResourceMissing
from customers.locks import lock_customer
from pricing.discount_models import OWNERS
from pricing.discount_terms import end_of
from pricing.models import Coupon, Discount
from pricing.redeem import Redeemed, Sale, Wish, check, count, find
from webhooks.events import record_many, record_replaced, telling

MOST_DISCOUNTS = 20  # on one owner, as Stripe allows
TOLD = ("customer", "subscription")  # owners whose discounts have events, as on Stripe (unverified)
SOURCES = ("coupon", "promotion_code", "discount")  # a wish has exactly one of them, and its id


@dataclass(frozen=True)
class Owner:
    """Where a discount stands: on the customer, or on something of it that `kind`, one of OWNERS, and `id` name.

    `since` is when that has begun in the past, for discounts that are set at its making and begin with it.
    """

    customer: str
    kind: str = "customer"
    id: str = ""
    since: datetime | None = None

    def __post_init__(self) -> None:
        assert (self.kind in OWNERS) == bool(self.id), "what is not the customer itself has an id"

    @property
    def key(self) -> str:
        return self.id or self.customer

    @property
    def most(self) -> int:
        return MOST_DISCOUNTS if self.id else 1


class NoActiveDiscount(NotFound):
    """There is no discount to take away."""

    def __init__(self, owner: Owner) -> None:
        BillingError.__init__(self, f"No active discount for {owner.kind.replace('_', ' ')}: {owner.key}")


def set_discounts(
    owner: Owner,
    wishes: Sequence[Wish] | None,
    *,
    sale: Sale,
    at: datetime,
    ancestors: Iterable[str] = (),
    param: str = "discounts",
) -> list[Discount]:
    """Replace the discounts of `owner`, in the order of `wishes`; None or nothing clears them.

    A wish for a coupon or promotion code redeems it anew. One for a discount keeps it; one that stands on `ancestors`
    (ids of owners above this one) is continued here without being redeemed again.

    Raises what `redeem` raises; InvalidRequest (too many, the same coupon twice). Locks the customer.
    """
    with transaction.atomic():
        lock_customer(owner.customer)
        rows = Discount.objects.select_related("coupon", "promotion_code", "origin")
        before = list(rows.of([owner.key]).current())
        above = rows.of(ancestors).holding(at)
        known = {found.pk: found for found in [*above, *before] if found.span.holds_at(at)}
        wanted = _resolve(owner, wishes or (), known, sale, at, param)
        kept = {one.pk for one in wanted if isinstance(one, Discount)}
        gone = [one for one in before if one.pk not in kept]
        with _telling_customer(owner, at):
            Discount.objects.filter(pk__in=[one.pk for one in gone]).update(removed_at=at)
            count([one for one in wanted if isinstance(one, Redeemed)])
            placed = [_place(owner, one, position, at) for position, one in enumerate(wanted)]
        _tell(owner, gone, [one for one in placed if one.pk not in kept], at)
        return placed


def remove_discount(owner: Owner, *, at: datetime) -> Discount:
    """Take all discounts from `owner`, as far as they still hold; answer with the first.

    Raises NoActiveDiscount. Locks the customer.
    """
    with transaction.atomic():
        lock_customer(owner.customer)
        holding = list(Discount.objects.of([owner.key]).holding(at))
        if not holding:
            raise NoActiveDiscount(owner)
        with _telling_customer(owner, at):
            Discount.objects.filter(pk__in=[one.pk for one in holding]).update(removed_at=at)
        _tell(owner, holding, (), at)
        return holding[0]


def discounts_of(owners: Iterable[str], at: datetime) -> dict[str, list[Discount]]:
    """The discounts of each owner (by its id) that hold at `at`, in their order, with their coupons; one query."""
    found: dict[str, list[Discount]] = {owner: [] for owner in owners}
    rows = Discount.objects.of(found).holding(at).select_related("coupon", "promotion_code")
    for discount in rows.order_by("owner", "position", "id"):
        found[discount.owner].append(discount)
    return found


def reaching(owners: Iterable[str], since: datetime) -> dict[str, list[Discount]]:
    """The discounts of each owner that hold at or after `since`, or until it, in their order; one query. One that is
    for one invoice, and spent, is left out."""
    found: dict[str, list[Discount]] = {owner: [] for owner in owners}
    rows = Discount.objects.of(found).filter(
        Q(end=None) | Q(end__gte=since), Q(removed_at=None) | Q(removed_at__gte=since), used_at=None
    )
    for discount in rows.select_related("coupon").prefetch_related("coupon__applies_to").order_by("position", "id"):
        found[discount.owner].append(discount)
    return found


def spend(discounts: Iterable[str], *, at: datetime) -> set[str]:
    """Mark discounts (by id) that an invoice applies when it is finalized; answers those that are spent by this call.

    Only those whose coupon is for one invoice are ever spent, each together with the one that it continues and all
    others that continue the same. One that is not in the answer though its coupon is such was spent by an invoice
    before, and no longer counts. Needs the lock of the customer.
    """
    once = Discount.objects.filter(pk__in=list(discounts), coupon__duration=Coupon.Duration.ONCE, used_at=None)
    roots = {discount.pk: discount.origin_id or discount.pk for discount in once}
    family = Q(pk__in=roots.values()) | Q(origin__in=roots.values())
    Discount.objects.filter(family, used_at=None).update(used_at=at)
    return set(roots)


def _telling_customer(owner: Owner, at: datetime) -> AbstractContextManager[None]:
    """A customer shows its own discount."""
    return telling("customer.updated", "customer", [] if owner.id else [owner.customer], at=at)


def _tell(owner: Owner, gone: Sequence[Discount], made: Sequence[Discount], at: datetime) -> None:
    """Record which discounts an owner has no longer and which are new; one for one, where it can have only one."""
    if owner.kind not in TOLD:
        return
    if owner.most == 1 and gone and made:
        record_replaced("customer.discount.updated", "discount", gone[0], made[0], at=at)
        return
    record_many("customer.discount.deleted", "discount", gone, at=at)
    record_many("customer.discount.created", "discount", made, at=at)


def _resolve(
    owner: Owner, wishes: Sequence[Wish], known: Mapping[str, Discount], sale: Sale, at: datetime, param: str
) -> list[Discount | Redeemed]:
    """What each wish stands for, checked: a discount of the owner that stays, or what a new one is made of."""
    if len(wishes) > owner.most:
        raise InvalidRequest(f"There may be at most {owner.most} discounts.", param=param)
    wanted: list[Discount | Redeemed] = []
    for number, wish in enumerate(wishes):
        here = f"{param}[{number}]"
        one = _resolve_one(owner, wish, known, here)
        if isinstance(one, Redeemed) and one.origin is None:
            check(one, customer=owner.customer, sale=sale, at=at, param=here)
        if any(other.coupon == one.coupon for other in wanted):
            raise InvalidRequest(f"The coupon {one.coupon.pk} is given twice.", param=here)
        wanted.append(one)
    return wanted


def _resolve_one(owner: Owner, wish: Wish, known: Mapping[str, Discount], param: str) -> Discount | Redeemed:
    given = [name for name in SOURCES if name in wish]
    if len(given) != 1:
        raise ParametersExclusive(
            "You must specify exactly one of these parameters: coupon, promotion_code, discount.", param=param
        )
    if given != ["discount"]:
        return find(wish, param=param)
    discount = known.get(wish["discount"])
    if discount is None:
        raise ResourceMissing("discount", wish["discount"], param=f"{param}[discount]")
    if discount.owner == owner.key:
        return discount
    return Redeemed(discount.coupon, discount.promotion_code, discount.origin or discount)


def _place(owner: Owner, one: Discount | Redeemed, position: int, at: datetime) -> Discount:
    """The discount at its position: moved there, or made."""
    if isinstance(one, Discount):
        one.position = position
        one.save(update_fields=["position"])
        return one
    start = one.origin.start if one.origin else owner.since or at
    return Discount.objects.create(
        coupon=one.coupon,
        promotion_code=one.promotion_code,
        customer_id=owner.customer,
        position=position,
        start=start,
        end=end_of(one.coupon.duration, one.coupon.duration_in_months, start),
        origin=one.origin,
        **({owner.kind: owner.id} if owner.id else {}),
    )
