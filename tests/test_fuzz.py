"""Fifty thousand wrong bodies: each is read or refused, quickly, and none is an error of ours.

`script/fuzz` does it with a million.
"""

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import envelope, status_of
from api.forms import parse_form
from api.keys import create_api_key
from api.parsers import parse_json
from api.renderers import to_json
from core import clock
from core.errors import BillingError
from tests import make
from tests.fuzz import FORMS, JSONS, bodies

INPUTS = int(os.environ.get("FUZZ_INPUTS", "50000"))
SLOWEST = 0.05  # seconds of the processor
PARSERS = pytest.mark.parametrize(("parse", "seeds"), [(parse_form, FORMS), (parse_json, JSONS)])
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Off, so that no input is blamed for the garbage of all tests before."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def outcome(parse: Callable[[bytes], Any], body: bytes) -> str:
    """What `parse` makes of `body`; anything but a tree or a refusal is raised."""
    try:
        tree = parse(body)
    except BillingError as error:
        refusal = status_of(error), len(to_json(envelope(error))) < 2000
        return "refused" if refusal == (400, True) else f"refused oddly: {error}"
    assert isinstance(tree, dict)
    return "read"


@PARSERS
def test_what_went_wrong_on_the_way(parse: Callable[[bytes], Any], seeds: list[bytes]) -> None:
    outcomes, slowest = Counter[str](), 0
    for body in bodies(seeds, INPUTS * 48 // 100, changes=4):
        began = time.thread_time_ns()
        outcomes[outcome(parse, body)] += 1
        slowest = max(slowest, time.thread_time_ns() - began)
    print(f"{parse.__name__}: {dict(outcomes)}, the slowest {slowest / 1e6:.1f} ms")
    assert slowest < SLOWEST * 1e9
    assert outcomes.keys() == {"read", "refused"}
    assert min(outcomes.values()) > outcomes.total() // 20  # both are met, not one of them alone


@PARSERS
def test_what_nobody_has_thought_of(parse: Callable[[bytes], Any], seeds: list[bytes]) -> None:
    bytes_ = st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
    mixed = st.lists(st.sampled_from(seeds) | bytes_, max_size=4).map(b"&".join)

    @settings(max_examples=INPUTS // 100, deadline=None, database=None)
    @given(bytes_ | mixed)
    def attempt(body: bytes) -> None:
        assert outcome(parse, body) in ("read", "refused")

    attempt()


@pytest.mark.django_db
def test_the_whole_way_into_a_view() -> None:
    """From the request to the answer, database included: a refusal always, never a 500."""
    customer = make.customer()
    make.meter("calls")
    client = Client(
        raise_request_exception=False,
        headers={"Authorization": f"Bearer {create_api_key('fuzz', clock.now())[1]}"},
    )
    seeds = [form.replace(b"cus_1", customer.pk.encode()) for form in FORMS]
    statuses, slowest = Counter[int](), 0
    paths = ("/v1/billing/meter_events", "/v1/billing/meters", "/v1/customers")
    for path in paths:
        client.post(path)  # the first of each loads what it needs
    for n, body in enumerate(bodies(seeds, INPUTS // 50, changes=2)):
        path = paths[n % 3]
        began = time.thread_time_ns()
        answer = client.generic("POST", path, body, content_type=FORM)
        slowest = max(slowest, time.thread_time_ns() - began)
        statuses[answer.status_code] += 1
        assert answer.status_code in (200, 400), (path, body, answer.content)
        assert b"Traceback" not in answer.content
    print(f"views: {dict(statuses)}, the slowest {slowest / 1e6:.1f} ms")
    assert slowest < SLOWEST * 1e9


def test_the_largest_good_bodies_are_read_as_quickly() -> None:
    event = b'{"event_name": "calls", "payload": {"stripe_customer_id": "cus_1", "value": "25"}, "identifier": "%d"},'
    events = b"".join(event % n for n in range(2500))[:-1]
    largest = b"&".join(b"metadata[key_%d]=" % n + b"x" * 240 for n in range(1000))
    for parse, body in ((parse_json, b'{"events": [' + events + b"]}"), (parse_form, largest)):
        assert len(body) > 250_000
        began = time.thread_time_ns()
        assert outcome(parse, body) == "read"
        assert time.thread_time_ns() - began < SLOWEST * 1e9
