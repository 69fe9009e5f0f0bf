"""What our own OpenAPI document lets programs send to the metering routes never ends in an error of ours."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error

from api.keys import create_api_key
from core import clock
from meters.ingest import record_event
from meters.models import Meter
from tests import make
from tests.make import new_name

EXAMPLES = 30  # of each operation
ROUTES = "^/v[12]/billing/(meter|usage$)"
STREAM = "/v2/billing/meter_event_stream"  # it takes no key, only the token of a session
QUIETLY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations() -> list[Any]:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", WSGIHandler())
    return [found.ok() for found in schema.include(path_regex=ROUTES).exclude(path=STREAM).get_all_operations()]


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """Requests stay in the transaction of the test: none of them closes its connection."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def fill_in(case: Any, meter: Meter, values: dict[str, Any]) -> None:
    """What no schema can know: ids and names of what there is."""
    if case.path_parameters:
        case.path_parameters["id"] = meter.pk
    for sent in (case.body, case.query):
        if isinstance(sent, dict):
            sent.pop("expand", None)
    if case.path.endswith("/meter_event_adjustments"):
        identifier = record_event(values["event_name"], payload=values["payload"], at=clock.now()).identifier
        case.body = {"type": "cancel", "event_name": values["event_name"], "cancel": {"identifier": identifier}}
    elif case.path.endswith("/meter_events") and case.method.upper() == "POST":
        case.body = {name: values[name] for name in ("event_name", "payload")}
    elif case.path.endswith("/meter_event_batch"):
        case.body = {"events": [{name: values[name] for name in ("event_name", "payload")}]}
    elif case.path.endswith(("/event_summaries", "/usage")):
        case.query |= {name: values[name] for name in ("customer", "start_time", "end_time")}
    elif case.query:
        case.query = {name: value for name, value in case.query.items() if not name.endswith(("after", "before"))}


def answers_to(operation: Any, meter: Meter, values: dict[str, Any], headers: dict[str, str]) -> Counter[int]:
    """The statuses of what the document says may be sent, half of it with ids that there are."""
    statuses = Counter[int]()

    @seed(1)
    @QUIETLY
    @given(operation.as_strategy(), st.booleans())
    def attempt(case: Any, known: bool) -> None:
        if known:
            fill_in(case, meter, values)
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=[not_a_server_error])
        statuses[answer.status_code] += 1

    attempt()
    return statuses


@pytest.mark.usefixtures("one_connection")
def test_no_request_that_the_document_allows_is_an_error_of_ours() -> None:
    customer, meter, other = make.customer(), make.meter(new_name()), make.meter(new_name())
    values = {
        "event_name": other.event_name,
        "payload": {"stripe_customer_id": customer.pk, "value": "5"},
        "customer": customer.pk,
        "start_time": 1767225600,
        "end_time": 1767312000,
    }
    headers = {"Authorization": f"Bearer {create_api_key('schema', clock.now())[1]}"}
    answers = {operation.label: answers_to(operation, meter, values, headers) for operation in operations()}
    total = sum(answers.values(), Counter())
    print(total, answers)
    assert len(answers) >= 13
    assert total.keys() <= {200, 400, 404, 409}
    assert total[200] >= total.total() // 5
    assert all(statuses[200] for statuses in answers.values())
