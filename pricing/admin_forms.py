"""The forms of products and prices in the admin: shape only, the rules are the verbs'."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from api.admin_forms import MetadataForm
from core.admin_forms import VerbForm, VerbFormSet, WordsField
from core.money import CURRENCIES, MAX_DIGITS, MAX_PLACES, plain
from pricing.models import Interval, Price, PriceTier, Product, terms_of
from pricing.prices import PriceSpec, Recurring, build_tiers, check_terms
from pricing.rating import Scheme, Terms
from pricing.tier_specs import TierSpec

SCHEMES = (
    (Scheme.PER_UNIT.value, "Per unit: every unit costs the same"),
    (Scheme.PACKAGE.value, "Package: so much for every so many units"),
    (Scheme.GRADUATED.value, "Graduated: each tier's units at that tier's price"),
    (Scheme.VOLUME.value, "Volume: all units at the price of the tier reached"),
)
COMMON_CURRENCIES = ("usd", "eur", "gbp", "jpy", "chf", "cad", "aud")


class AmountField(forms.DecimalField):
    """An amount in minor units (cents), with fractions of them."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs = {"required": False, "min_value": Decimal(0), "widget": UnfoldAdminDecimalFieldWidget} | kwargs
        super().__init__(max_digits=MAX_DIGITS + MAX_PLACES, decimal_places=MAX_PLACES, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return plain(value) if isinstance(value, Decimal) else value


class TierForm(VerbForm):
    """One tier; the last has no upper end."""

    param_fields = {"unit_amount": "unit_amount_decimal", "flat_amount": "flat_amount_decimal"}

    up_to = forms.DecimalField(
        label="Up to (units)",
        required=False,
        min_value=Decimal(1),
        max_digits=MAX_DIGITS,
        decimal_places=0,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"placeholder": "∞"}),
        help_text="Empty on the last tier.",
    )
    unit_amount_decimal = AmountField(label="Per unit (cents)")
    flat_amount_decimal = AmountField(label="Flat (cents)")

    class Meta:
        model = PriceTier
        fields = ("up_to", "unit_amount_decimal", "flat_amount_decimal")


class TierFormSet(VerbFormSet):
    """The tiers of a new price."""

    def specs(self) -> list[TierSpec]:
        return [
            TierSpec(
                up_to=form.cleaned_data.get("up_to"),
                unit_amount=form.cleaned_data.get("unit_amount_decimal"),
                flat_amount=form.cleaned_data.get("flat_amount_decimal"),
            )
            for form in self.filled()
        ]


class PriceForm(MetadataForm):
    """A new price. The scheme is one choice here; on the wire it is three parameters."""

    param_fields = {
        "unit_amount": "unit_amount_decimal",
        "transform_quantity": "transform_divide_by",
        "tiers": "scheme",
        "tiers_mode": "scheme",
        "recurring[meter]": "meter",
        "recurring[interval_count]": "interval_count",
    }

    currency = forms.ChoiceField(
        choices=[(code, code.upper()) for code in (*COMMON_CURRENCIES, *sorted(CURRENCIES - set(COMMON_CURRENCIES)))],
        widget=UnfoldAdminSelectWidget,
        help_text="A product can have prices in several currencies; a customer pays in one.",
    )
    scheme = forms.ChoiceField(label="Pricing", choices=SCHEMES, widget=UnfoldAdminSelectWidget)
    unit_amount_decimal = AmountField(
        label="Amount (cents)",
        help_text="Per unit, or per package; in the smallest unit of the currency, with up to 12 decimal places. "
        "1.5 is one and a half cents.",
    )
    transform_divide_by = forms.IntegerField(
        label="Units in a package",
        required=False,
        min_value=1,
        max_value=10**MAX_DIGITS,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    transform_round = forms.ChoiceField(
        label="A package begun",
        choices=(("up", "counts as a whole one"), ("down", "does not count")),
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    interval = forms.ChoiceField(
        label="Billed every",
        choices=(("", "once (not for subscriptions)"), *Interval.choices),
        required=False,
        initial=Interval.MONTH,
        widget=UnfoldAdminSelectWidget,
    )
    interval_count = forms.IntegerField(
        label="Number of intervals",
        required=False,
        min_value=1,
        max_value=1095,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="3 with month: every quarter.",
    )
    active = forms.BooleanField(
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="New subscriptions can use it.",
    )
    lookup_key = forms.CharField(
        required=False,
        max_length=200,
        empty_value=None,
        widget=UnfoldAdminTextInputWidget,
        help_text="A name of yours by which programs find the price.",
    )

    class Meta:
        model = Price
        fields = (
            "product",
            "currency",
            "unit_amount_decimal",
            "transform_divide_by",
            "transform_round",
            "interval",
            "interval_count",
            "meter",
            "active",
            "nickname",
            "lookup_key",
            "tax_behavior",
            "metadata",
        )
        widgets = {"nickname": UnfoldAdminTextInputWidget}
        help_texts = {
            "meter": "Usage counted by this meter is billed after each period. Empty: a fixed quantity, in advance.",
            "nickname": "What the price is called among yourselves; customers do not see it.",
            "tax_behavior": "Once it is set it stays.",
        }

    def spec(self, tiers: Iterable[TierSpec]) -> PriceSpec:
        """The price asked for; needs only what is valid so far, so that it can be shown while it is filled in."""
        given = self.cleaned_data
        scheme = given.get("scheme") or Scheme.PER_UNIT.value
        tiered = scheme in (Scheme.GRADUATED, Scheme.VOLUME)
        package = scheme == Scheme.PACKAGE
        return PriceSpec(
            currency=given.get("currency") or COMMON_CURRENCIES[0],
            billing_scheme=Price.BillingScheme.TIERED if tiered else Price.BillingScheme.PER_UNIT,
            unit_amount=None if tiered else given.get("unit_amount_decimal"),
            tiers=list(tiers) if tiered else (),
            tiers_mode=scheme if tiered else None,
            divide_by=given.get("transform_divide_by") if package else None,
            round=(given.get("transform_round") or "up") if package else None,
            recurring=self._recurring(),
            tax_behavior=given.get("tax_behavior") or Price.TaxBehavior.UNSPECIFIED,
            active=given.get("active", True),
            nickname=given.get("nickname", ""),
            lookup_key=given.get("lookup_key"),
            metadata=given.get("metadata", {}),
        )

    def _recurring(self) -> Recurring | None:
        given = self.cleaned_data
        meter = given.get("meter")
        if not given.get("interval"):
            return None
        return Recurring(
            interval=given["interval"],
            interval_count=given.get("interval_count") or 1,
            usage_type=Price.UsageType.METERED if meter else Price.UsageType.LICENSED,
            meter=meter.pk if meter else None,
        )

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("meter") and not given.get("interval"):
            self.add_error("interval", "Usage is billed at an interval.")
        return given


class PriceChangeForm(MetadataForm):
    """What may change about a price: everything but its terms."""

    transfer_lookup_key = forms.BooleanField(
        label="Take the key over",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="If another price has this lookup key, take it from there.",
    )
    lookup_key = forms.CharField(
        required=False, max_length=200, empty_value=None, widget=UnfoldAdminTextInputWidget, help_text=""
    )

    class Meta:
        model = Price
        fields = ("active", "nickname", "lookup_key", "tax_behavior", "late_usage", "metadata")
        widgets = {"nickname": UnfoldAdminTextInputWidget}

    def clean_late_usage(self) -> str | None:
        return self.cleaned_data["late_usage"] or None


class ProductForm(MetadataForm):
    id = forms.CharField(
        label="Id",
        required=False,
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
        help_text="An id of your own, for good. Empty: made up.",
    )
    default_price = forms.ModelChoiceField(
        queryset=Price.objects.none(),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="The price that programs take when they name the product only.",
    )
    images = WordsField(help_text="Addresses of pictures, separated by commas.")

    class Meta:
        model = Product
        fields = (
            "name",
            "description",
            "unit_label",
            "active",
            "statement_descriptor",
            "tax_code",
            "url",
            "images",
            "metadata",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "default_price" in self.fields:
            self.fields["default_price"].queryset = self.instance.prices.active()  # type: ignore[attr-defined]
            self.initial["default_price"] = self.instance.default_price_id

    def wanted(self) -> dict[str, Any]:
        """What differs from the row, as the verb takes it; without metadata."""
        wanted = self.changes(leave=("metadata", "id"))
        if "default_price" in wanted:
            wanted["default_price"] = wanted["default_price"] and wanted["default_price"].pk
        return wanted


def terms_of_spec(spec: PriceSpec) -> Terms:
    """What a price that is not stored would cost by. Raises what `check_terms` raises."""
    check_terms(spec)
    price = Price(
        billing_scheme=spec.billing_scheme or Price.BillingScheme.PER_UNIT,
        unit_amount_decimal=spec.unit_amount,
        tiers_mode=spec.tiers_mode,
        transform_divide_by=spec.divide_by,
        transform_round=spec.round,
    )
    return terms_of(price, build_tiers(price, spec.tiers))
