"""Files of events over the wire: what the official client can send, and the bytes beside it."""

import csv
import http.client
import io
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe

from tests.wire.client import Wire, invalid, missing, refused
from usage_imports import uploads
from usage_imports.models import UsageImport, UsageImportChunk
from usage_imports.process import carry_on

PATH = "/v1/billing/usage_imports"
NOW = int(datetime.now(UTC).timestamp())


def call(wire: Wire, method: str, path: str, **params: Any) -> Any:
    return wire.client.deserialize(wire.client.raw_request(method, path, **params), api_mode="V1")


def send(wire: Wire, path: str, data: bytes, *, type: str = "application/octet-stream") -> tuple[int, Any]:
    """The status and the body of the answer to raw bytes."""
    headers = {"Authorization": f"Bearer {wire.key}", "Content-Type": type}
    try:
        with urllib.request.urlopen(urllib.request.Request(wire.url + path, data, headers)) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def download(wire: Wire, path: str) -> tuple[str, bytes]:
    request = urllib.request.Request(wire.url + path, headers={"Authorization": f"Bearer {wire.key}"})
    with urllib.request.urlopen(request) as answer:
        return answer.headers["Content-Type"], answer.read()


def file_of(wire: Wire, *values: str) -> tuple[Any, Any, bytes]:
    meter, customer = wire.meter(), wire.customer()
    lines = [f"{NOW},{meter.event_name},{customer.id},{value}\n" for value in values]
    return (
        meter,
        customer,
        ("timestamp,event_name,payload_stripe_customer_id,payload_value\n" + "".join(lines)).encode(),
    )


def test_a_file_in_chunks_from_its_announcement_to_its_errors(wire: Wire) -> None:
    meter, customer, data = file_of(wire, "2", "many", "3")
    begun = call(wire, "post", PATH, file_name="usage.csv", size=len(data))
    assert begun.id.startswith("uimp_")
    assert (begun.object, begun.status, begun.format, begun.progress) == (
        "billing.usage_import",
        "awaiting_upload",
        "csv",
        0,
    )

    content = f"{PATH}/{begun.id}/content"
    assert send(wire, f"{content}?offset=0", data[:100])[1]["uploaded_bytes"] == 100
    status, body = send(wire, f"{content}?offset=50", data[50:])
    assert (status, body["error"]["code"], body["error"]["param"]) == (409, "upload_offset_mismatch", "offset")
    assert "offset 100" in body["error"]["message"]
    status, body = send(wire, f"{content}?offset=100", data[100:])
    assert (status, body["status"]) == (200, "pending")
    assert send(wire, f"{content}?offset=100", data[100:]) == (200, body)
    carry_on(begun.id)

    done = call(wire, "get", f"{PATH}/{begun.id}")
    assert (done.status, done.progress, done.rows) == ("succeeded_with_errors", 100, 3)
    assert done.counts.to_dict() == {"stored": 2, "duplicate": 0, "conflict": 0, "rejected": 1}
    assert (done.created_by.type, done.created_by.id[:4]) == ("api_key", "key_")
    window = {"customer": customer.id, "start_time": NOW // 60 * 60 - 60, "end_time": NOW // 60 * 60 + 60}
    assert wire.v1.billing.meters.event_summaries.list(meter.id, window).data[0].aggregated_value == 5
    kind, body = download(wire, f"{PATH}/{begun.id}/errors")
    assert kind == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(body.decode()))
    assert (row["error_row"], row["error_code"], row["payload_value"]) == ("3", "meter_event_invalid_value", "many")


@pytest.mark.parametrize("type", ["text/csv", "text/csv; charset=utf-8", "application/x-ndjson", "application/json"])
def test_a_file_as_one_body(wire: Wire, type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_CHUNK", 100)
    _, customer, data = file_of(wire, "1", "2", "3")
    if "csv" not in type:
        rows = csv.DictReader(io.StringIO(data.decode()))
        events = [
            {"timestamp": int(row["timestamp"]), "event_name": row["event_name"]}
            | {"payload": {"stripe_customer_id": customer.id, "value": int(row["payload_value"])}}
            for row in rows
        ]
        data = "\n".join(map(json.dumps, events)).encode() if "ndjson" in type else json.dumps(events).encode()

    status, body = send(wire, f"{PATH}?dry_run=true&file_name=mine", data, type=type)

    assert (status, body["status"], body["file_name"], body["dry_run"]) == (200, "pending", "mine", True)
    assert (body["size"], body["uploaded_bytes"]) == (len(data), len(data))
    assert UsageImportChunk.objects.filter(usage_import=body["id"]).count() == -(-len(data) // 100)
    carry_on(body["id"])
    assert call(wire, "get", f"{PATH}/{body['id']}").counts.stored == 3


def test_more_than_2_megabytes_are_no_matter_here(wire: Wire) -> None:
    status, body = send(wire, PATH, b"x" * (9 * 1024**2), type="text/csv")

    assert (status, body["uploaded_bytes"]) == (200, 9 * 1024**2)
    positions = UsageImportChunk.objects.filter(usage_import=body["id"]).order_by("position")
    assert list(positions.values_list("position", flat=True)) == [0, 8 * 1024**2]
    call(wire, "post", f"{PATH}/{body['id']}/cancel")


def announce(wire: Wire, path: str, length: int, data: bytes, type: str = "text/csv") -> tuple[int, Any]:
    """A request that announces another length than it has."""
    connection = http.client.HTTPConnection(urlsplit(wire.url).netloc, timeout=10)
    connection.putrequest("POST", path)
    for name, value in {"Authorization": f"Bearer {wire.key}", "Content-Type": type, "Content-Length": length}.items():
        connection.putheader(name, str(value))
    connection.endheaders(data)
    connection.sock.shutdown(1)
    answer = connection.getresponse()
    try:
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_what_is_too_large_is_refused_before_it_is_read(wire: Wire) -> None:
    begun = call(wire, "post", PATH, file_name="usage.csv")
    count = UsageImport.objects.count()

    status, body = announce(wire, PATH, 1024**3 + 1, b"")
    assert (status, body["error"]["param"]) == (400, "size")
    status, body = announce(wire, f"{PATH}/{begun.id}/content?offset=0", 8 * 1024**2 + 1, b"")
    assert status == 400
    assert "8 MB" in body["error"]["message"]
    assert UsageImport.objects.count() == count


def test_a_body_that_breaks_off_leaves_no_import_open(wire: Wire) -> None:
    status, body = announce(wire, PATH, 100, b"timestamp")
    assert status == 400
    assert "ended before it was complete" in body["error"]["message"]
    begun = call(wire, "post", PATH, file_name="usage.csv")
    assert announce(wire, f"{PATH}/{begun.id}/content?offset=0", 100, b"timestamp")[0] == 400
    assert UsageImport.objects.get(pk=begun.id).uploaded_bytes == 0
    assert [row.status for row in call(wire, "get", PATH, limit=2).data] == ["awaiting_upload", "canceled"]


def test_lists(wire: Wire) -> None:
    made = [call(wire, "post", PATH, file_name=f"{name}.csv").id for name in "abc"]
    call(wire, "post", f"{PATH}/{made[1]}/cancel")

    newest = call(wire, "get", PATH, limit=3)
    assert ([row.id for row in newest.data], newest.url) == (made[::-1], PATH)
    assert [row.id for row in call(wire, "get", PATH, limit=1, status="canceled").data] == [made[1]]


def test_refusals(wire: Wire) -> None:
    assert invalid(call, wire, "post", PATH).param == "file_name"
    assert invalid(call, wire, "post", PATH, file_name="usage.xlsx").param == "file_name"
    assert invalid(call, wire, "post", PATH, file_name="usage.csv", size=1024**3 + 1).param == "size"
    assert invalid(call, wire, "post", PATH, file_name="usage.csv", format="xml").param == "format"
    assert invalid(call, wire, "post", PATH, file_name="usage.csv", rows=3).code == "parameter_unknown"
    missing(call, wire, "get", f"{PATH}/uimp_none")
    missing(call, wire, "post", f"{PATH}/uimp_none/complete")
    assert send(wire, f"{PATH}/uimp_none/content?offset=0", b"x")[0] == 404
    assert send(wire, f"{PATH}/uimp_none/content", b"x")[1]["error"]["param"] == "offset"
    assert send(wire, f"{PATH}?size=3", b"x", type="text/xml")[0] == 400
    begun = call(wire, "post", PATH, file_name="usage.csv", size=3)
    invalid(call, wire, "post", f"{PATH}/{begun.id}/complete")
    assert send(wire, f"{PATH}/{begun.id}/content?offset=0", b"")[0] == 400
    nobody = Wire(wire.client, wire.url, "sk_test_wrong")
    assert send(nobody, PATH, b"x", type="text/csv")[0] == 401
    error = refused(stripe.InvalidRequestError, call, wire, "post", f"{PATH}/{begun.id}/content", offset=0)
    assert error.param == "offset"  # the client puts it into the body, where the bytes are
