"""Products and prices on the wire."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from api import objects, params
from api.params import ListParams, Params
from customers.models import Customer
from pricing.models import Interval, OptionTier, Price, PriceCurrencyOption, PriceTier


class RecurringParams(Params):
    later = ("trial_period_days",)

    aggregate_usage = params.Choice(Price.AggregateUsage)
    interval = params.Choice(Interval, required=True)
    interval_count = params.Integer(minimum=1, maximum=1095)
    meter = params.String()
    usage_type = params.Choice(Price.UsageType)


class TierParams(Params):
    flat_amount = params.Amount()
    flat_amount_decimal = params.DecimalAmount()
    unit_amount = params.Amount()
    unit_amount_decimal = params.DecimalAmount()
    up_to = params.Integer(minimum=1, required=True, words=("inf",))


class TransformQuantityParams(Params):
    divide_by = params.Integer(minimum=1, required=True)
    round = params.Choice(Price.Round, required=True)


class UnitOptionParams(Params):
    """What a price without tiers costs in a further currency."""

    later: ClassVar[Sequence[str]] = ("custom_unit_amount", "tiers")

    tax_behavior = params.Choice(Price.TaxBehavior)
    unit_amount = params.Amount()
    unit_amount_decimal = params.DecimalAmount()


class CurrencyOptionParams(UnitOptionParams):
    later = ("custom_unit_amount",)

    tiers = params.Array(TierParams)


class AmountParams(Params):
    """What every way to create a price has in common."""

    later: ClassVar[Sequence[str]] = ("custom_unit_amount",)

    currency = params.String(required=True, max_length=3)
    currency_options = params.ByCurrency(UnitOptionParams)
    metadata = params.MetadataParam()
    recurring = params.Hash(RecurringParams)
    tax_behavior = params.Choice(Price.TaxBehavior)
    unit_amount = params.Amount()
    unit_amount_decimal = params.DecimalAmount()


class ProductDataParams(Params):
    later = ("tax_details",)

    active = params.Boolean()
    id = params.String(max_length=64)
    metadata = params.MetadataParam()
    name = params.String(required=True, max_length=250)
    statement_descriptor = params.String(max_length=22)
    tax_code = params.String(max_length=100)
    unit_label = params.String(max_length=12)


class CreatePrice(AmountParams):
    active = params.Boolean()
    billing_scheme = params.Choice(Price.BillingScheme)
    currency_options = params.ByCurrency(CurrencyOptionParams)
    late_usage = params.Choice(Customer.LateUsage)  # ours
    lookup_key = params.String(max_length=200)
    nickname = params.String()
    product = params.String()
    product_data = params.Hash(ProductDataParams)
    tiers = params.Array(TierParams)
    tiers_mode = params.Choice(Price.TiersMode)
    transfer_lookup_key = params.Boolean()
    transform_quantity = params.Hash(TransformQuantityParams)


class UpdatePrice(Params):
    active = params.Boolean()
    currency_options = params.ByCurrency(CurrencyOptionParams)
    late_usage = params.Choice(Customer.LateUsage, unset=True)  # ours
    lookup_key = params.String(max_length=200, unset=True)
    metadata = params.MetadataParam()
    nickname = params.String(unset=True)
    tax_behavior = params.Choice(Price.TaxBehavior)
    transfer_lookup_key = params.Boolean()


class RecurringFilter(Params):
    interval = params.Choice(Interval)
    meter = params.String()
    usage_type = params.Choice(Price.UsageType)


class ListPrices(ListParams):
    active = params.Boolean()
    created = params.TimeRange()
    currency = params.String(max_length=3)
    lookup_keys = params.Array(params.String(max_length=200), max_length=10)
    product = params.String()
    recurring = params.Hash(RecurringFilter)
    type = params.Choice(Price.Type)


class MarketingFeatureParams(Params):
    name = params.String(required=True, max_length=80)


class ProductParams(Params):
    """What creating and updating a product share."""

    later = ("package_dimensions", "tax_details")

    active = params.Boolean()
    description = params.String(unset=True)
    images = params.Array(params.String(max_length=2048), max_length=8, unset=True)
    marketing_features = params.Array(MarketingFeatureParams, max_length=15, unset=True)
    metadata = params.MetadataParam()
    shippable = params.Boolean()
    statement_descriptor = params.String(max_length=22)
    tax_code = params.String(max_length=100, unset=True)
    unit_label = params.String(max_length=12, unset=True)
    url = params.String(max_length=2048, unset=True)


class CreateProduct(ProductParams):
    default_price_data = params.Hash(AmountParams)
    id = params.String(max_length=64)
    name = params.String(required=True, max_length=250)
    type = params.Choice(["service"])


class UpdateProduct(ProductParams):
    default_price = params.String()
    name = params.String(max_length=250)


class ListProducts(ListParams):
    active = params.Boolean()
    created = params.TimeRange()
    ids = params.Array(params.String(max_length=64))
    shippable = params.Boolean()
    type = params.Choice(["service"])  # all are
    url = params.String(max_length=2048)


class ProductObject(objects.Object):
    id = objects.Text()
    object = objects.Const("product")
    active = objects.Boolean()
    created = objects.UnixTime(source="created_at")
    default_price = objects.ObjectId(source="default_price_id")
    description = objects.Text()
    images = objects.Json()
    livemode = objects.Livemode()
    marketing_features = objects.Json()
    metadata = objects.Metadata()
    name = objects.Text()
    package_dimensions = objects.Const(None)
    shippable = objects.Boolean()
    statement_descriptor = objects.Text()
    tax_code = objects.Text()
    type = objects.Const("service")
    unit_label = objects.Text()
    updated = objects.UnixTime(source="updated_at")
    url = objects.Text()


class WholeAmount(objects.WireField):
    """A decimal amount as an integer where it is whole, else null (as Stripe does)."""

    schema_type = {"type": ["integer", "null"]}

    def to_representation(self, value: Decimal) -> int | None:
        return int(value) if value == value.to_integral_value() else None


def without_unused(price: Price, shown: dict[str, Any]) -> dict[str, Any]:
    """`aggregate_usage` is of prices with usage records only: Stripe has it no more."""
    if not price.takes_usage_records:
        del shown["aggregate_usage"]
    return shown


class RecurringObject(objects.Object):
    aggregate_usage = objects.Text()
    interval = objects.Text()
    interval_count = objects.Integer()
    meter = objects.ObjectId(source="named_meter_id")
    trial_period_days = objects.Const(None)
    usage_type = objects.Text()

    def to_representation(self, instance: Price) -> Any:
        return without_unused(instance, super().to_representation(instance)) if instance.is_recurring else None


class TransformQuantityObject(objects.Object):
    divide_by = objects.Integer(source="transform_divide_by")
    round = objects.Text(source="transform_round")

    def to_representation(self, instance: Price) -> Any:
        return super().to_representation(instance) if instance.transform_divide_by else None


class PriceObject(objects.Repeated):
    id = objects.Text()
    object = objects.Const("price")
    active = objects.Boolean()
    billing_scheme = objects.Text()
    created = objects.UnixTime(source="created_at")
    currency = objects.Text()
    custom_unit_amount = objects.Const(None)
    late_usage = objects.Text()
    livemode = objects.Livemode()
    lookup_key = objects.Text()
    metadata = objects.Metadata()
    nickname = objects.Text()
    product = objects.ObjectId(source="product_id")
    recurring = RecurringObject(source="*")
    tax_behavior = objects.Text()
    tiers_mode = objects.Text()
    transform_quantity = TransformQuantityObject(source="*")
    type = objects.Text()
    unit_amount = WholeAmount(source="unit_amount_decimal")
    unit_amount_decimal = objects.DecimalString()


class PlanObject(objects.Repeated):
    """The older name of a recurring price; subscription items still carry one beside their price."""

    id = objects.Text()
    object = objects.Const("plan")
    active = objects.Boolean()
    aggregate_usage = objects.Text()
    amount = WholeAmount(source="unit_amount_decimal")
    amount_decimal = objects.DecimalString(source="unit_amount_decimal")
    billing_scheme = objects.Text()
    created = objects.UnixTime(source="created_at")
    currency = objects.Text()
    interval = objects.Text()
    interval_count = objects.Integer()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    meter = objects.ObjectId(source="named_meter_id")
    nickname = objects.Text()
    product = objects.ObjectId(source="product_id")
    tiers_mode = objects.Text()
    transform_usage = TransformQuantityObject(source="*")
    trial_period_days = objects.Const(None)
    usage_type = objects.Text()

    def shown(self, instance: Price) -> Any:
        return without_unused(instance, super().shown(instance))


class TierObject(objects.Object):
    flat_amount = WholeAmount(source="flat_amount_decimal")
    flat_amount_decimal = objects.DecimalString()
    unit_amount = WholeAmount(source="unit_amount_decimal")
    unit_amount_decimal = objects.DecimalString()
    up_to = WholeAmount()


def tiers_by_price(prices: Sequence[str]) -> dict[str, Any]:
    """The tiers of the given prices, for `expand[]=tiers`; null for a price without."""
    found: dict[str, Any] = dict.fromkeys(prices)
    shape = TierObject()
    for tier in PriceTier.objects.filter(price__in=prices).order_by("price", "position"):
        found[tier.price_id] = [*(found[tier.price_id] or []), shape.to_representation(tier)]
    return found


class CurrencyOptionObject(objects.Object):
    """The amounts of a price, or of one of its options, in one currency; `tiers` are added where there are some."""

    custom_unit_amount = objects.Const(None)
    tax_behavior = objects.Text()
    unit_amount = WholeAmount(source="unit_amount_decimal")
    unit_amount_decimal = objects.DecimalString()


def options_by_price(prices: Sequence[str]) -> dict[str, Any]:
    """What the given prices cost in each currency, their own included, for `expand[]=currency_options`."""
    rows = Price.objects.prefetch_related("tiers", "currency_options__tiers")
    return {price.pk: _options(price) for price in rows.filter(pk__in=prices)}


def _options(price: Price) -> dict[str, Any]:
    found = {price.currency: _option(price, price.tiers.all())}
    for option in price.currency_options.all():
        found[option.currency] = _option(option, option.tiers.all())
    return dict(sorted(found.items()))


def _option(row: Price | PriceCurrencyOption, tiers: Iterable[PriceTier | OptionTier]) -> dict[str, Any]:
    shown: dict[str, Any] = CurrencyOptionObject().to_representation(row)
    if found := [TierObject().to_representation(tier) for tier in tiers]:
        shown["tiers"] = found
    return shown
