"""Searches of customers against a filter in Python that shares no code with the product."""

import operator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.keys import create_api_key
from api.search import matching, page_of_search
from core import clock
from customers.models import Customer
from customers.resources import CUSTOMER
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db

NAMES = ["", "Ada", "ADA", "Ada Lovelace", "100%", "100x", "a_c", "abc", 'it\'s "so"', "a\\b", "null", "7"]
EMAILS = ["", "ada@example.com", "Ada@Example.com", "bob@example.com"]
METADATA: list[dict[str, str]] = [{}, {"k": "v"}, {"k": "V", "7": "seven"}, {"a__b": "v"}, {"it's \"": "100%"}]
KEYS = ["k", "7", "a__b", "it's \"", "none"]
SIGNS = {":": operator.eq, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def wire_of(row: Customer) -> dict[str, Any]:
    return {
        "name": row.name or None,
        "email": row.email or None,
        "external_id": row.external_id,
        "created": int(row.created_at.timestamp()),
        "metadata": row.metadata,
    }


def _same(shown: str | None, value: str) -> bool:
    return shown is not None and shown.lower() == value.lower()


TEXTS = st.tuples(st.sampled_from(["name", "email"]), st.sampled_from([*NAMES, *EMAILS]).filter(bool))
START = int(JAN.timestamp())
# Each is a text and the test that it stands for.
CLAUSES = st.one_of(
    TEXTS.map(lambda at: (f"{at[0]}:{quoted(at[1])}", lambda row: _same(row[at[0]], at[1]))),
    TEXTS.filter(lambda at: len(at[1]) > 2).map(
        lambda at: (f"{at[0]}~{quoted(at[1])}", lambda row: at[1].lower() in (row[at[0]] or "").lower())
    ),
    st.sampled_from(["00%", "a_c", "a\\b", "DA ", "@EX"]).map(
        lambda part: (f"name~{quoted(part)}", lambda row: part.lower() in (row["name"] or "").lower())
    ),
    st.sampled_from(["name", "email", "external_id"]).map(lambda at: (f"{at}:NULL", lambda row: row[at] is None)),
    st.sampled_from(["ext_1", "ext_3", "EXT_1", "nobody"]).map(
        lambda id: (f"external_id:{quoted(id)}", lambda row: row["external_id"] == id)
    ),
    st.tuples(st.sampled_from(KEYS), st.sampled_from(["v", "seven", "100%"])).map(
        lambda at: (f"metadata[{quoted(at[0])}]:{quoted(at[1])}", lambda row: _same(row["metadata"].get(at[0]), at[1]))
    ),
    st.sampled_from(KEYS).map(lambda key: (f"metadata[{quoted(key)}]:null", lambda row: key not in row["metadata"])),
    st.tuples(st.sampled_from(sorted(SIGNS)), st.integers(START - 1, START + 12)).map(
        lambda at: (f"created{at[0]}{at[1]}", lambda row: SIGNS[at[0]](row["created"], at[1]))
    ),
)
SIGNED = st.tuples(CLAUSES, st.booleans()).map(
    lambda at: (f"-{at[0][0]}", lambda row: not at[0][1](row)) if at[1] else at[0]
)


def fill() -> list[Customer]:
    """Customers of every kind, half a second apart."""
    return [
        make.customer(
            JAN + timedelta(milliseconds=500 * number),
            name=NAMES[number % len(NAMES)],
            email=EMAILS[number % len(EMAILS)],
            metadata=METADATA[number % len(METADATA)],
            external_id=f"ext_{number}" if number % 2 else None,
        )
        for number in range(24)
    ]


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [wire_of(row) | {"id": row.pk} for row in fill()]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clauses=st.lists(SIGNED, min_size=1, max_size=4), joint=st.sampled_from([" ", " AND ", " or "]))
def test_a_search_is_a_filter(rows: list[dict[str, Any]], clauses: list[Any], joint: str) -> None:
    text = joint.join(one for one, _ in clauses)
    enough = any if joint == " or " else all
    expected = [row["id"] for row in reversed(rows) if enough(holds(row) for _, holds in clauses)]
    assert [row.pk for row in matching(CUSTOMER, text)] == expected, text


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_lose_and_repeat_nothing_of_one_instant(limit: int) -> None:
    made = sorted((make.customer(JAN, name="Tie").pk for _ in range(7)), reverse=True)
    rows, found, page = matching(CUSTOMER, 'name:"tie"'), [], None
    while True:
        part = page_of_search(CUSTOMER, rows, "q", limit=limit, page=page)
        found += [row.pk for row in part.rows]
        if part.next_page is None:
            break
        page = part.next_page
        make.customer(JAN + timedelta(seconds=1), name="Tie")
    assert found == list(Customer.objects.filter(pk__in=made).order_by("-pk").values_list("pk", flat=True))


def test_an_email_of_any_case_is_found_by_its_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    rows = matching(CUSTOMER, 'email:"Ada@Example.com"').order_by()
    assert "customer_email_any_case" in rows.explain()


PIECES = ["name", "email", "created", "metadata", "external_id", "[", "]", "'", '"', "\\", "\x00", ":", "~", ">", "<=",
          "-", " ", " AND ", " OR ", "null", "1", "99999999999999999999", "'abc'", "\"k\"", "(", "é", "%"]  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=20))
def test_anything_is_answered_or_refused(secret: str, pieces: list[str]) -> None:
    answer = Client().get(
        "/v1/customers/search", {"query": "".join(pieces)}, headers={"Authorization": f"Bearer {secret}"}
    )
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.json()["error"].get("param", "query") == "query"  # a null character is refused without


@pytest.fixture
def secret() -> str:
    return create_api_key("search", clock.now())[1]


def test_every_declared_column_can_be_searched() -> None:
    """A query of each field of each resource runs in the database."""
    from api import resources
    from api.search_fields import Kind

    values = {Kind.NUMBER: "1", Kind.TIME: "1", Kind.BOOLEAN: "true"}
    searched = [one for one in resources.registered() if one.searchable]
    assert {one.name for one in searched} == {"customer", "product", "price", "subscription", "invoice"}
    for resource in searched:
        assert issubclass(resource.model, Model)
        for name, field in resource.searchable.items():
            if field.kind is not Kind.LATER:
                name = f'{name}["k"]' if field.kind is Kind.METADATA else name
                value = values.get(field.kind, "'x'")
                for text in (f"{name}:{value}", f"-{name}:null"):
                    assert list(matching(resource, text)) == []
