"""The whole product, while its processes are killed: short versions of what `script/faults` does for longer."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults import events, workers
from tests.stack import Server

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("server")]
CUSTOMERS = 12


def test_an_acknowledged_event_survives_kill_9_of_web_and_postgres(server: Server, tmp_path: Path):
    report = events.run([server], ["web", "postgres"] * 3, tmp_path / "acknowledged", seed=1)

    assert report.kills == {"web": 3, "postgres": 3}
    assert report.acknowledged > 200
    assert report.is_clean, report


def test_fifty_calls_with_one_identifier_from_eight_threads_count_once(server: Server):
    server.wait_until_ready()
    api = events.Api(server)
    meter = api.make(
        "/v1/billing/meters",
        display_name="Once",
        event_name="fault_once",
        **{"default_aggregation[formula]": "count"},
    )
    customer = api.make("/v1/customers", name="Once")

    def send(number: int) -> tuple[int, str]:
        payload = {"payload[stripe_customer_id]": customer, "payload[value]": "1"}
        data = {"event_name": "fault_once", "identifier": "the-same"} | payload
        status, body = events.Api(server).call("POST", "/v1/billing/meter_events", **data)
        return status, body.get("error", {}).get("message", "")

    with ThreadPoolExecutor(8) as threads:
        answers = Counter(threads.map(send, range(50)))

    duplicate = (400, "An event already exists with identifier the-same.")
    assert answers == {(200, ""): 1, duplicate: 49}
    now = int(time.time()) // 60 * 60
    window = f"customer={customer}&start_time={now - 3600}&end_time={now + 3600}"
    _, body = api.call("GET", f"/v1/billing/meters/{meter}/event_summaries?{window}")
    assert [row["aggregated_value"] for row in body["data"]] == [1]


def test_control_an_event_missing_from_the_database_is_noticed(server: Server, tmp_path: Path):
    """One line too many in the log of the acknowledged is one event lost."""
    log = tmp_path / "acknowledged"
    log.write_text("client-never-sent\n")
    server.wait_until_ready()
    events.EVENT, kept = "fault_control", events.EVENT
    try:
        report = events.run([server], [], log)
    finally:
        events.EVENT = kept

    assert report.lost == 1


def test_two_beats_and_four_workers_make_one_invoice_a_period(own_server: Server):
    own_server.environment["INVOICE_GRACE_SECONDS"] = "1"
    own_server.start()

    state = workers.run(own_server, customers=CUSTOMERS, kills=1, timeout=60)

    assert state["wrong"] == []
    assert (state["due"], state["invoices"], state["open"]) == (0, CUSTOMERS * workers.WEEKS, CUSTOMERS * workers.WEEKS)
    assert (state["killed"], state["stopped"]) == (1, 1)
    assert workers.in_django(own_server, "seed.sees_a_second_invoice()") is True
