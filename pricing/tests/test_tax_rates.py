"""Tax rates: what they keep, and which can be applied."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from core.errors import BillingError, InvalidRequest, NotFound, ResourceMissing
from pricing.models import TaxRate
from pricing.tax_rates import create_tax_rate, find_tax_rates, update_tax_rate
from tests.make import JAN

pytestmark = pytest.mark.django_db


def made(percentage: str = "20", **fields: Any) -> TaxRate:
    return create_tax_rate(display_name="VAT", percentage=Decimal(percentage), inclusive=False, at=JAN, **fields)


@pytest.mark.parametrize("changes", [{"percentage": 5}, {"inclusive": True}])
def test_the_database_keeps_the_rate(changes: dict[str, Any]) -> None:
    made()
    with pytest.raises(IntegrityError), transaction.atomic():
        TaxRate.objects.update(**changes)


@pytest.mark.parametrize("percentage", ["-0.0001", "100.0001"])
def test_the_database_knows_the_bounds(percentage: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        made(percentage)


def test_all_else_changes() -> None:
    rate = update_tax_rate(
        made(metadata={"a": "1"}).pk, changes={"active": False, "country": "se"}, metadata={"b": "2"}, at=JAN
    )
    rate.refresh_from_db()
    assert (rate.active, rate.country, rate.metadata) == (False, "SE", {"a": "1", "b": "2"})
    assert str(rate) == "VAT 20 %"
    with pytest.raises(NotFound):
        update_tax_rate("txr_none", changes={}, at=JAN)


def test_rates_are_found_in_the_order_asked_for() -> None:
    rates = [made("5"), made("10"), made("0")]
    wanted = [rate.pk for rate in reversed(rates)]

    assert [rate.pk for rate in find_tax_rates(wanted, param="tax_rates")] == wanted
    assert find_tax_rates([], param="tax_rates") == []


def test_rates_that_cannot_be_applied() -> None:
    rate, archived = made(), made(active=False)
    cases: list[tuple[list[str], type[BillingError]]] = [
        ([rate.pk, "txr_none"], ResourceMissing),
        ([rate.pk, archived.pk], InvalidRequest),
        ([rate.pk, rate.pk], InvalidRequest),
    ]
    for ids, error in cases:
        with pytest.raises(error) as caught:
            find_tax_rates(ids, param="tax_rates")
        assert caught.value.param == "tax_rates[1]"
    assert find_tax_rates([archived.pk], param="tax_rates", kept=[archived.pk]) == [archived]
