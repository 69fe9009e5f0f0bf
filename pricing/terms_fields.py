"""Fields of the admin for the discounts and the tax rates of whatever has some."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Q
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from pricing.coupon_words import off_words
from pricing.models import Coupon, Discount, PromotionCode, TaxRate
from pricing.redeem import Wish

DISCOUNTS, ADDED, TAX_RATES = "discounts", "added", "tax_rates"


def discount_fields(discounts: Sequence[Discount], currency: str, at: datetime) -> dict[str, forms.Field]:
    """Which of the discounts stay, and a coupon or promotion code to add."""
    stay = forms.MultipleChoiceField(
        label="Discounts that stay",
        required=False,
        choices=[(one.pk, f"{one.coupon}: {off_words(one.coupon)}") for one in discounts],
        initial=[one.pk for one in discounts],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    added = forms.ChoiceField(
        label="Add a discount", required=False, choices=_offers(currency, at), widget=UnfoldAdminSelectWidget
    )
    return {DISCOUNTS: stay, ADDED: added} if discounts else {ADDED: added}


def tax_field(kept: Sequence[str]) -> dict[str, forms.Field]:
    """The tax rates that can be chosen, and those that are there already."""
    rates = TaxRate.objects.filter(Q(active=True) | Q(pk__in=kept)).order_by("display_name", "created_at")
    choices = [(rate.pk, f"{rate}{', included in the price' if rate.inclusive else ''}") for rate in rates]
    field = forms.MultipleChoiceField(
        label="Tax rates",
        required=False,
        choices=choices,
        initial=list(kept),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="" if choices else "There is none yet: create one under Tax rates.",
    )
    return {TAX_RATES: field}


def wanted_discounts(discounts: Iterable[Discount], given: Mapping[str, Any]) -> list[Wish] | None:
    """The discounts as asked for; None where they stay as they are."""
    there = [one.pk for one in discounts]
    stay = [id for id in there if id in given.get(DISCOUNTS, ())]
    wishes: list[Wish] = [{"discount": id} for id in stay]
    if added := given.get(ADDED):
        source, _, id = added.partition(":")
        wishes.append({source: id})
    return None if stay == there and not added else wishes


def wanted_tax_rates(kept: Sequence[str], given: Mapping[str, Any]) -> list[str] | None:
    """The same for tax rates, which keep their order."""
    chosen = given.get(TAX_RATES, [])
    if set(chosen) == set(kept):
        return None
    return [id for id in kept if id in chosen] + [id for id in chosen if id not in kept]


def _offers(currency: str, at: datetime) -> list[tuple[str, str]]:
    """The coupons, and codes, that can be redeemed now for something in this currency."""
    fits = Q(percent_off__isnull=False) | Q(currency=currency) | Q(currency_options__has_key=currency)
    coupons = Coupon.objects.valid(at).filter(fits).order_by("name", "id")
    codes = PromotionCode.objects.redeemable(at).filter(coupon__in=coupons).select_related("coupon").order_by("code")
    return [
        ("", "–"),
        *((f"coupon:{coupon.pk}", f"{coupon}: {off_words(coupon)}") for coupon in coupons),
        *((f"promotion_code:{code.pk}", f"Code {code}: {off_words(code.coupon)}") for code in codes),
    ]
