"""Products and prices in the admin: made by the verbs, with their tiers; terms stay; costs are shown while typing."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from meters.models import Meter
from pricing.currency_options import OptionSpec
from pricing.models import Price, PriceTier, Product
from pricing.prices import update_price
from pricing.products import create_product
from pricing.tier_specs import TierSpec
from tests import make
from tests.forms import errors_of, fields_of, submit
from tests.make import JAN

pytestmark = pytest.mark.django_db

ADD = "/admin/pricing/price/add/"
PRODUCTS = "/admin/pricing/product/"
SAMPLES = "/admin/pricing/price/samples/"
# Of two prices all but their identity must be the same.
OWN = {"_state", "id", "created_at", "product_id", "meter_id"}


@pytest.fixture
def product() -> Product:
    return create_product(name="Tokens", at=JAN)


def change(row: Price | Product) -> str:
    return reverse(f"admin:pricing_{row._meta.model_name}_change", args=[row.pk])


def terms(price: Price) -> tuple[dict[str, Any], list[tuple[Decimal | None, ...]]]:
    columns = {name: value for name, value in Price.objects.get(pk=price.pk).__dict__.items() if name not in OWN}
    amounts = ("up_to", "unit_amount_decimal", "flat_amount_decimal")
    return columns, list(price.tiers.order_by("position").values_list("position", *amounts))


def tiers(*rows: tuple[str, str, str]) -> dict[str, str]:
    given = {"tiers-TOTAL_FORMS": str(len(rows))}
    for number, (up_to, unit, flat) in enumerate(rows):
        given[f"tiers-{number}-up_to"] = up_to
        given[f"tiers-{number}-unit_amount_decimal"] = unit
        given[f"tiers-{number}-flat_amount_decimal"] = flat
    return given


def test_a_metered_price_with_tiers_is_as_if_made_through_the_api(admin_client: Client, product: Product) -> None:
    meter = make.meter()
    rows = tiers(("1000", "0.5", "100"), ("", "0.000000000001", ""), ("", "", ""))

    answer = submit(admin_client, ADD, product=product.pk, meter=meter.pk, scheme="graduated", **rows)

    assert answer.status_code == 302
    made = Price.objects.get()
    like = make.price(meter=make.meter("other"), tiers=[("1000", "0.5", "100"), (None, "0.000000000001", None)])
    assert terms(made) == terms(like)
    assert (made.product, made.meter) == (product, meter)
    assert LogEntry.objects.get().object_id == made.pk


@pytest.mark.parametrize(
    ("given", "like"),
    [
        ({"scheme": "per_unit", "unit_amount_decimal": "1.5"}, {"unit": "1.5"}),
        (
            {"scheme": "package", "unit_amount_decimal": "6", "transform_divide_by": "1000", "transform_round": "down"},
            {"unit": "6", "per": 1000, "round": "down"},
        ),
        (
            {"scheme": "volume", "currency": "eur"},
            {"tiers": [("5", "1", None), (None, None, "2")], "mode": "volume", "currency": "eur"},
        ),
        (
            {"unit_amount_decimal": "5", "interval": "week", "interval_count": "2"},
            {"unit": "5", "interval": "week", "count": 2},
        ),
    ],
)
def test_each_scheme_is_as_through_the_api(
    admin_client: Client, product: Product, given: dict[str, str], like: dict[str, Any]
) -> None:
    rows = tiers(("5", "1", ""), ("", "", "2")) if given.get("scheme") == "volume" else {}

    assert submit(admin_client, ADD, product=product.pk, **given, **rows).status_code == 302
    assert terms(Price.objects.get()) == terms(make.price(**like))


def test_a_price_can_be_charged_once(admin_client: Client, product: Product) -> None:
    submit(admin_client, ADD, product=product.pk, unit_amount_decimal="5", interval="")

    assert not Price.objects.get().is_recurring


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({}, {"unit_amount_decimal": ["One of unit_amount and unit_amount_decimal is required."]}),
        ({"scheme": "graduated"}, {"scheme": ["Missing required param: tiers."]}),
        (
            {"scheme": "package", "unit_amount_decimal": "5"},
            {"transform_divide_by": ["transform_quantity needs both divide_by and round."]},
        ),
        (
            {"unit_amount_decimal": "5", "interval": "year", "interval_count": "4"},
            {
                "interval_count": [
                    "recurring[interval_count] must be between 1 and 3 for the interval year.",
                ]
            },
        ),
        ({"unit_amount_decimal": "-1"}, {"unit_amount_decimal": ["Ensure this value is greater than or equal to 0."]}),
        ({"unit_amount_decimal": "5", "lookup_key": "taken"}, {"lookup_key": None}),
    ],
)
def test_refusals_are_shown_on_their_field(
    admin_client: Client, product: Product, given: dict[str, str], errors: dict[str, list[str] | None]
) -> None:
    Price.objects.filter(pk=make.price(unit="5").pk).update(lookup_key="taken")

    found = errors_of(submit(admin_client, ADD, product=product.pk, **given))

    assert found.keys() == errors.keys()
    assert all(words is None or found[name] == words for name, words in errors.items())
    assert Price.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_a_refused_tier_is_shown_in_its_row(admin_client: Client, product: Product) -> None:
    rows = tiers(("1000", "1", ""), ("", "", ""), ("500", "1", ""), ("", "1", ""))

    answer = submit(admin_client, ADD, product=product.pk, scheme="graduated", **rows)

    (inline,) = answer.context["inline_admin_formsets"]
    shown = [dict(form.errors) for form in inline.formset.forms]
    assert shown == [{}, {}, {"up_to": ["Each tier's up_to must be greater than the one before."]}, {}]
    assert not Price.objects.exists()
    assert not PriceTier.objects.exists()


def test_a_tier_without_an_amount_is_shown_in_its_row(admin_client: Client, product: Product) -> None:
    answer = submit(admin_client, ADD, product=product.pk, scheme="volume", **tiers(("5", "", ""), ("", "1", "")))

    (inline,) = answer.context["inline_admin_formsets"]
    assert dict(inline.formset.forms[0].errors) == {
        "unit_amount_decimal": ["Each tier needs a unit amount, a flat amount, or both."]
    }


def test_an_inactive_meter_cannot_be_chosen(admin_client: Client, product: Product) -> None:
    meter = make.meter()
    Meter.objects.update(status="inactive", deactivated_at=JAN)

    answer = submit(admin_client, ADD, product=product.pk, meter=meter.pk, unit_amount_decimal="5")

    assert list(errors_of(answer)) == ["meter"]


def test_terms_do_not_change(admin_client: Client) -> None:
    price = make.price(unit="5")
    page = fields_of(admin_client, change(price))
    assert not {"unit_amount_decimal", "currency", "scheme", "interval", "product", "meter"} & page.keys()

    answer = submit(
        admin_client,
        change(price),
        unit_amount_decimal="9",
        currency="eur",
        nickname="Basic",
        lookup_key="basic",
        metadata="a: b",
        active=None,
    )

    assert answer.status_code == 302
    price.refresh_from_db()
    assert (price.unit_amount_decimal, price.currency) == (5, "usd")
    assert (price.nickname, price.lookup_key, price.metadata, price.active) == ("Basic", "basic", {"a": "b"}, False)


def test_saving_an_old_price_unchanged_leaves_it_as_it_is(admin_client: Client) -> None:
    price = make.price(unit="5")
    Price.objects.update(active=False, nickname="Old", lookup_key="old", metadata={"a": "b"})
    before = terms(price)

    assert submit(admin_client, change(price)).status_code == 302
    assert terms(price) == before
    assert not Price.objects.get().active


def test_a_lookup_key_is_taken_over_on_request_only(admin_client: Client) -> None:
    holder, price = make.price(unit="5"), make.price(unit="6")
    Price.objects.filter(pk=holder.pk).update(lookup_key="basic")

    assert list(errors_of(submit(admin_client, change(price), lookup_key="basic"))) == ["lookup_key"]
    submit(admin_client, change(price), lookup_key="basic", transfer_lookup_key="on")
    holder.refresh_from_db()
    price.refresh_from_db()
    assert (holder.lookup_key, price.lookup_key) == (None, "basic")


def test_the_page_shows_tiers_and_what_some_quantities_cost(admin_client: Client) -> None:
    price = make.price(meter=make.meter(), tiers=[("1000", "0.5", "100"), (None, "0.25", None)])

    panels = {panel["title"]: panel["data"] for panel in admin_client.get(change(price)).context["panels"]}

    shown = [tuple(tier[name] for name in ("above", "up_to", "unit", "flat")) for tier in panels["Tiers"]["tiers"]]
    assert shown == [("0", "1000", "$0.005", "$1.00"), ("1000", None, "$0.0025", "–")]
    samples = panels["What would it cost?"]["samples"]
    assert [(sample["quantity"], sample["total"]) for sample in samples] == [
        ("0", "$1.00"),
        ("1", "$1.01"),
        ("1,000", "$6.00"),
        ("1,000,000", "$2,503.50"),
    ]


def test_the_page_shows_what_it_costs_in_other_currencies(admin_client: Client) -> None:
    price, tiered = make.price(unit="5"), make.price(tiers=[(None, "5", None)])
    update_price(price.pk, changes={}, currency_options={"eur": OptionSpec(Decimal("4.5"))}, at=JAN)
    tiers = [TierSpec(Decimal(10), Decimal(4)), TierSpec(None, Decimal(3), Decimal(100))]
    update_price(tiered.pk, changes={}, currency_options={"eur": OptionSpec(tiers=tiers)}, at=JAN)

    shown = [
        {panel["title"]: panel["data"] for panel in admin_client.get(change(row)).context["panels"]}
        for row in (price, tiered, make.price(unit="5"))
    ]

    assert shown[0]["In other currencies"] == {"options": [{"currency": "EUR", "words": "€0.045"}]}
    [option] = shown[1]["In other currencies"]["options"]
    assert option["words"] == "up to 10: €0.04 each, – flat; up to ∞: €0.03 each, €1.00 flat"
    assert "In other currencies" not in shown[2]


def samples(client: Client, **given: str) -> str:
    fields = {name: value for name, value in fields_of(client, ADD).items() if "__prefix__" not in name} | given
    answer = client.post(SAMPLES, fields)
    assert answer.status_code == 200
    return answer.content.decode()


def test_costs_are_shown_before_the_form_is_finished(admin_client: Client) -> None:
    text = samples(admin_client, currency="jpy", scheme="volume", **tiers(("1000", "2", ""), ("", "1", "")))

    for words in ("¥2,000", "¥1,000,000", "tier 2: 1000000 × 1 = 1000000"):
        assert words in text
    assert not Price.objects.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "One of unit_amount and unit_amount_decimal is required."),
        ({"unit_amount_decimal": "abc"}, "One of unit_amount"),
        ({"scheme": "graduated"}, "Missing required param: tiers."),
        ({"scheme": "graduated", **tiers(("10", "x", ""), ("", "1", ""))}, "Some tiers cannot be read yet."),
        ({"scheme": "graduated", **tiers(("10", "1", ""))}, "The last tier, and only it, must have up_to=inf."),
        ({"unit_amount_decimal": "999999999999999"}, "may not exceed"),
        ({"scheme": "package", "unit_amount_decimal": "4", "transform_divide_by": "100"}, "10 packages × 4 = 40"),
    ],
)
def test_an_unfinished_price_says_what_it_waits_for(admin_client: Client, given: dict[str, str], words: str) -> None:
    assert words in samples(admin_client, **given)


def test_costs_are_asked_by_post(admin_client: Client) -> None:
    assert admin_client.get(SAMPLES).status_code == 405


def test_a_product_is_made_and_changed(admin_client: Client) -> None:
    submit(admin_client, f"{PRODUCTS}add/", id="tokens", name="Tokens", unit_label="token", metadata="a: b")
    product = Product.objects.get()
    assert (product.pk, product.name, product.unit_label, product.active) == ("tokens", "Tokens", "token", True)
    assert product.metadata == {"a": "b"}

    again = submit(admin_client, f"{PRODUCTS}add/", id="tokens", name="Others")
    assert errors_of(again) == {"id": ["Product already exists: 'tokens'."]}

    submit(admin_client, change(product), active=None, images="https://a.example/1.png, https://a.example/2.png")
    product.refresh_from_db()
    assert (product.name, product.active, len(product.images)) == ("Tokens", False, 2)


def test_the_default_price_is_one_of_its_own(admin_client: Client) -> None:
    price, other = make.price(unit="5"), make.price(unit="6")

    submit(admin_client, change(price.product), default_price=price.pk)
    assert Product.objects.get(pk=price.product_id).default_price == price
    assert list(errors_of(submit(admin_client, change(price.product), default_price=other.pk))) == ["default_price"]
    submit(admin_client, change(price.product), default_price="")
    assert Product.objects.get(pk=price.product_id).default_price is None


def test_a_product_is_deleted_only_without_prices(admin_client: Client, product: Product) -> None:
    priced = make.price(unit="5").product

    admin_client.post(reverse("admin:pricing_product_press", args=[priced.pk, "delete"]))
    answer = admin_client.post(reverse("admin:pricing_product_press", args=[product.pk, "delete"]))
    assert answer["Location"] == PRODUCTS
    assert list(Product.objects.live()) == [priced]


def test_a_refusal_behind_a_button_is_shown(admin_client: Client, product: Product) -> None:
    """The price is made between question and answer: the button is gone."""
    page = reverse("admin:pricing_product_press", args=[product.pk, "delete"])
    assert admin_client.get(page).status_code == 200
    submit(admin_client, ADD, product=product.pk, unit_amount_decimal="5")

    assert "This is not possible" in admin_client.post(page, follow=True).content.decode()
    assert Product.objects.live().exists()


def test_a_price_with_usage_records_says_how_they_are_aggregated(admin_client: Client, product: Product) -> None:
    price = make.price(unit="5", records="last_ever")

    page = admin_client.get(reverse("admin:pricing_price_change", args=[price.pk])).content.decode()

    assert "Last Ever" in page


def test_the_meter_of_a_price_cannot_be_chosen_for_another(admin_client: Client, product: Product) -> None:
    meter = make.price(unit="5", records="sum").meter
    assert meter is not None

    answer = submit(admin_client, ADD, product=product.pk, meter=meter.pk, unit_amount_decimal="5")

    assert list(errors_of(answer)) == ["meter"]
