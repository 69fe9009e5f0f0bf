"""`docs/stripe-compatibility.md` is what the product says, and no parameter of the official client is ignored."""

import os
from pathlib import Path

import pytest

from api.forms import parse_form
from tests.wire.compatibility import (
    CALLS,
    EXERCISED,
    IGNORED,
    NOT_YET_EXERCISED,
    REFUSED,
    Row,
    difference,
    evidence,
    params_class,
    row_of,
    survey,
    untried,
    waiting,
)
from tests.wire.compatibility_page import PAGE, page
from tests.wire.differences import DIFFERENCES
from tests.wire.sdk_calls import Call, Parameter, calls_of, parameters_of

ROOT = Path(__file__).resolve().parents[2]
WRITE = os.environ.get("STRIPE_COMPATIBILITY", "")  # set by script/stripe_compatibility: `write` or `accept`
Surveys = dict[str, list[Row]]


@pytest.fixture(scope="module")
def surveys(api_key: str) -> Surveys:
    return {call.name: survey(api_key, call) for call in CALLS if params_class(call) is not None}


def test_the_page_is_what_the_product_says(surveys: Surveys) -> None:
    shown = page(surveys)
    if WRITE:
        PAGE.write_text(shown)
    assert PAGE.read_text() == shown, "run script/stripe_compatibility"


def test_nothing_is_ignored(surveys: Surveys) -> None:
    assert [row.key for rows in surveys.values() for row in rows if row.state == IGNORED] == []


def test_what_is_taken_is_sent_by_a_test(surveys: Surveys) -> None:
    """Those that wait for a test are in a list, which `script/stripe_compatibility` only ever makes shorter."""
    found = untried(surveys)
    if WRITE:
        kept = found if WRITE == "accept" else [one for one in waiting() if one in found]
        NOT_YET_EXERCISED.write_text("".join(f"{one}\n" for one in kept))
    new, old = set(found) - set(waiting()), set(waiting()) - set(found)
    assert not new, f"write a test in tests/wire that sends these, then run script/stripe_compatibility: {sorted(new)}"
    assert not old, "run script/stripe_compatibility"


def test_the_tests_that_are_named_exist() -> None:
    missing = []
    for test in {test for names in evidence().values() for test in names.values()}:
        file, _, name = test.partition("::")
        source = (ROOT / file).read_text() if (ROOT / file).exists() else ""
        if f"def {name.rpartition('::')[2]}(" not in source:
            missing.append(test)
    assert missing == [], f"{EXERCISED.name}: run script/stripe_compatibility"


def test_each_difference_is_about_a_parameter_that_is_taken(surveys: Surveys) -> None:
    taken = [row for rows in surveys.values() for row in rows if row.state != REFUSED]
    found = {difference(row.call.name, row.parameter.name) for row in taken}
    assert set(DIFFERENCES.values()) <= found


def test_the_client_is_read_to_the_bottom() -> None:
    create = call("subscriptions.create")
    assert (create.method, create.path) == ("POST", "/v1/subscriptions")
    found = {one.name: one for parameter in parameters_of(create) for one in parameter}
    assert found["items[][price_data][recurring][interval]"].values == ("day", "month", "week", "year")
    assert {"customer", "metadata", "billing_thresholds[amount_gte]"} <= found.keys()
    assert not {"expand", "stripe_account"} & found.keys()
    options = {one.name for parameter in parameters_of(call("prices.create")) for one in parameter}
    assert "currency_options[*][tiers][][up_to]" in options
    assert "currency_options[tiers]" not in options


def test_every_name_can_be_read() -> None:
    """The deepest is within `schedule_details[pause_schedules][][pause][settings][bill_for]` and has seven levels."""
    names = {one.sent for call in CALLS for parameter in parameters_of(call) for one in parameter}
    assert len(names) > 1000
    assert all(parse_form(f"{name}=1") for name in names)


def test_a_call_is_found_by_its_path() -> None:
    found = {("GET", "/v1/prices/price_1"): "prices.retrieve", ("GET", "/v1/prices/search"): "prices.search"}
    for (method, path), name in found.items():
        assert next(one for one in CALLS if one.serves(method, path)).name == name


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ({}, "ignored"),
        ({"code": "resource_missing", "param": "id"}, "ignored"),
        ({"code": "parameter_unknown", "param": "another"}, "ignored"),
        ({"code": "parameter_unknown", "param": "made_up[0][part]"}, "refused"),
        ({"param": "made_up[0]"}, "refused"),
    ],
)
def test_what_is_not_declared_has_to_be_refused_by_name(error: dict[str, str], state: str) -> None:
    assert row_of(call("customers.create"), Parameter("made_up[][part]", (), ()), error).state == state


def call(name: str) -> Call:
    return next(one for one in calls_of(name.rpartition(".")[0]) if one.name == name)
