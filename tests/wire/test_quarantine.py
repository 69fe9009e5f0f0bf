"""What was refused is found over the wire, replayed and dismissed; customers are known by names of their own."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from meters.ingest import Record, ingest
from meters.quarantine import hold
from tests.wire.client import Wire, unix

PATH = "/v1/billing/quarantined_events"
NOW = datetime(2026, 1, 20, tzinfo=UTC)


def call(wire: Wire, method: str, path: str = "", status: int = 200, **sent: Any) -> Any:
    where = "params" if method == "GET" else "data"
    answer = requests.request(method, f"{wire.url}{PATH}{path}", auth=(wire.key, ""), timeout=10, **{where: sent})
    assert answer.status_code == status, answer.text
    return answer.json()


def refuse(meter: Any, customer: str, *identifiers: str, source: str = "batch", at: datetime = NOW) -> None:
    """What the doors of ingestion do with a record that is refused."""
    payload = {"stripe_customer_id": customer, "value": "2"}
    for identifier in identifiers:
        record = Record(meter.event_name, payload, identifier)
        hold([(3, record, ingest([record], at=at)[0])], source=source, at=at)


def test_a_refused_event_is_listed_and_replayed(wire: Wire) -> None:
    meter = wire.meter()
    refuse(meter, "acme-1", "q-1")
    [event] = call(wire, "GET", customer="acme-1")["data"]

    assert event == call(wire, "GET", f"/{event['id']}")
    assert event | {"id": "", "created": 0} == {
        "id": "",
        "object": "billing.quarantined_event",
        "created": 0,
        "customer": "acme-1",
        "escaped": False,
        "event_name": meter.event_name,
        "identifier": "q-1",
        "livemode": False,
        "meter": meter.id,
        "payload": {"stripe_customer_id": "acme-1", "value": "2"},
        "position": 3,
        "reason": {
            "code": "meter_event_customer_not_found",
            "message": "No such customer: 'acme-1'",
            "param": "payload[stripe_customer_id]",
        },
        "resolution": {"by": None, "note": None, "outcome": None, "resolved_at": None},
        "source": "batch",
        "state": "held",
        "times_seen": 1,
        "timestamp": None,
        "usage_import": None,
    }
    still = call(wire, "POST", f"/{event['id']}/replay")
    assert (still["state"], still["reason"]) == ("held", event["reason"])

    customer = wire.customer(ingest_aliases=["acme-1"])
    done = call(wire, "POST", f"/{event['id']}/replay")
    assert (done["state"], done["resolution"]["outcome"]) == ("replayed", "stored")
    assert done["resolution"]["by"].startswith("API key key_")
    bounds = {"customer": customer.id, "start_time": unix(2026), "end_time": unix(2026, 2)}
    [summary] = wire.v1.billing.meters.event_summaries.list(meter.id, bounds)
    assert summary.aggregated_value == 2
    error = call(wire, "POST", f"/{event['id']}/replay", status=400)["error"]
    assert error["message"].startswith("This event is replayed already")


def test_one_is_dismissed_with_a_note(wire: Wire) -> None:
    refuse(wire.meter(), "acme-2", "q-2")
    [event] = call(wire, "GET", customer="acme-2", state="held")["data"]
    done = call(wire, "POST", f"/{event['id']}/dismiss", note="only a test")
    assert (done["state"], done["resolution"]["note"]) == ("dismissed", "only a test")
    assert call(wire, "GET", customer="acme-2", state="held")["data"] == []
    call(wire, "POST", f"/{event['id']}/dismiss", status=400)


def test_the_list_is_filtered_and_paged(wire: Wire) -> None:
    meter = wire.meter()
    refuse(meter, "acme-3", "q-3", "q-4", "q-5", source="stream")
    refuse(meter, "acme-3", "q-6", at=datetime(2026, 1, 10, tzinfo=UTC))

    def found(**filters: Any) -> list[str]:
        listed = call(wire, "GET", event_name=meter.event_name, limit=100, **filters)
        return [event["identifier"] for event in listed["data"]]

    assert found() == ["q-5", "q-4", "q-3", "q-6"]
    assert found(source="batch") == ["q-6"]
    assert found(identifier="q-4") == ["q-4"]
    assert found(reason="no_meter") == found(usage_import="imp_1") == found(customer="acme") == []
    assert found(**{"created[lt]": unix(2026, 1, 15)}) == ["q-6"]
    page = call(wire, "GET", event_name=meter.event_name, limit=2)
    assert page["has_more"] is True
    rest = call(wire, "GET", event_name=meter.event_name, limit=2, starting_after=page["data"][1]["id"])
    assert [event["identifier"] for event in rest["data"]] == ["q-3", "q-6"]
    expanded = call(wire, "GET", identifier="q-6", **{"expand[]": "data.meter"})
    assert expanded["data"][0]["meter"]["event_name"] == meter.event_name


@pytest.mark.parametrize("path", ["/qev_none", "/1", "/%00"])
def test_one_that_is_not_there(wire: Wire, path: str) -> None:
    assert call(wire, "GET", path, status=404)["error"]["code"] == "resource_missing"
    if path != "/%00":
        assert call(wire, "POST", f"{path}/replay", status=404)["error"]["code"] == "resource_missing"


def test_unknown_parameters_are_refused_by_name(wire: Wire) -> None:
    assert call(wire, "GET", status=400, stat="held")["error"]["param"] == "stat"
    assert call(wire, "GET", status=400, state="gone")["error"]["param"] == "state"


def test_a_customer_has_an_external_id_and_aliases(wire: Wire) -> None:
    customer = wire.customer(external_id="crm-7", ingest_aliases=["b7", "a7"])
    fields = json.loads(str(wire.v1.customers.retrieve(customer.id)))
    assert (fields["external_id"], fields["ingest_aliases"]) == ("crm-7", ["a7", "b7"])
    assert [found.id for found in wire.v1.customers.list({"external_id": "crm-7"})] == [customer.id]
    assert wire.v1.customers.list({"external_id": "a7"}).data == []

    meter = wire.meter()
    for name in ("crm-7", "a7", customer.id):
        wire.v1.billing.meter_events.create(
            {"event_name": meter.event_name, "payload": {"stripe_customer_id": name, "value": "1"}}
        )

    changed = wire.v1.customers.update(customer.id, {"external_id": "", "ingest_aliases": ["c7"]})
    assert (changed.external_id, changed.ingest_aliases) == (None, ["c7"])
    untouched = wire.v1.customers.update(customer.id, {"name": "Eve"})
    assert untouched.ingest_aliases == ["c7"]
    assert wire.v1.customers.update(customer.id, {"ingest_aliases": ""}).ingest_aliases == []
    assert wire.v1.customers.list({"external_id": "crm-7"}).data == []


def test_a_taken_name_is_refused(wire: Wire) -> None:
    owner, other = wire.customer(ingest_aliases=["taken"]), wire.customer()
    for change in ({"external_id": "taken"}, {"ingest_aliases": ["fine", "taken"]}):
        answer = requests.post(
            f"{wire.url}/v1/customers/{other.id}",
            {"external_id": "taken"} if "external_id" in change else {"ingest_aliases[]": ["fine", "taken"]},
            auth=(wire.key, ""),
            timeout=10,
        )
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, next(iter(change)))
        assert error["message"] == f"'taken' already belongs to another customer: {owner.id}."
    assert wire.v1.customers.retrieve(other.id).ingest_aliases == []
