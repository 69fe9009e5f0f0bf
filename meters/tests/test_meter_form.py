"""A meter's rules, filled in by a person: conditions, dimensions, and a formula that is explained."""

import pytest
from django.test import Client
from django.urls import reverse

from meters.aggregations import AGGREGATIONS
from meters.models import Meter
from tests import make
from tests.forms import errors_of, submit

pytestmark = pytest.mark.django_db

ADD = "/admin/meters/meter/add/"
TOKENS = {"display_name": "Tokens", "event_name": "tokens", "formula": "sum"}


def test_conditions_and_dimensions_are_stored_as_over_the_api(admin_client: Client) -> None:
    rules = {"filters": "model in gpt-4, gpt-4o\ntrial does not exist", "dimension_payload_keys": "model\n\nregion\n"}

    assert submit(admin_client, ADD, **TOKENS, **rules).status_code == 302

    meter = Meter.objects.get()
    assert meter.filters == [{"key": "model", "in_values": ["gpt-4", "gpt-4o"]}, {"key": "trial", "exists": False}]
    assert meter.dimension_payload_keys == ["model", "region"]
    page = admin_client.get(reverse("admin:meters_meter_change", args=[meter.pk])).content.decode()
    assert "<div>model in gpt-4, gpt-4o</div><div>trial does not exist</div>" in page
    assert "model, region" in page
    assert 'name="filters"' not in page


def test_what_is_wrong_is_said_on_its_field(admin_client: Client) -> None:
    bad = {"filters": "model is gpt-4", "dimension_payload_keys": "\n".join(f"k{n}" for n in range(21))}
    errors = errors_of(submit(admin_client, ADD, **TOKENS, **bad))
    assert errors["filters"][0].startswith("Line 1, “model is gpt-4”, is no condition.")
    assert errors["dimension_payload_keys"] == ["At most 20 dimensions."]

    twice = submit(admin_client, ADD, **TOKENS, dimension_payload_keys="a\na")
    assert errors_of(twice) == {"dimension_payload_keys": ["A dimension is named twice."]}
    assert "<textarea" in twice.content.decode()

    long = submit(admin_client, ADD, **TOKENS, dimension_payload_keys="k" * 101)
    assert errors_of(long) == {"dimension_payload_keys": ["A key has at most 100 characters."]}
    assert not Meter.objects.exists()


def test_levels_have_no_window(admin_client: Client) -> None:
    levels = TOKENS | {"formula": "time_weighted_sum"}
    refused = submit(admin_client, ADD, **levels, event_time_window="day")
    assert list(errors_of(refused)) == ["event_time_window"]

    assert submit(admin_client, ADD, **levels, event_time_window="").status_code == 302


def test_every_formula_is_explained(admin_client: Client) -> None:
    page = admin_client.get(ADD).content.decode()

    for formula in AGGREGATIONS.values():
        assert f'value="{formula.name}"' in page
        assert formula.label in page
        assert formula.in_part[1:] in page
    assert "admin_pages/meter_form" in page
    assert errors_of(admin_client.post(ADD, {"display_name": "x", "event_name": "x"})).keys() == {
        "formula",
        "customer_key",
        "value_key",
    }


def test_a_condition_is_no_markup(admin_client: Client) -> None:
    meter = make.meter(filters=[{"key": "<b>", "in_values": ["<i>"]}])

    page = admin_client.get(reverse("admin:meters_meter_change", args=[meter.pk])).content.decode()

    assert "&lt;b&gt; in &lt;i&gt;" in page
    assert "<i>" not in page
