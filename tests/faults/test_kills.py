"""The whole product, while its processes are killed: short versions of what `script/faults` does for longer."""

from pathlib import Path

import pytest

from tests.faults import events, workers
from tests.stack import Server

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("server")]
CUSTOMERS = 12


def test_an_acknowledged_event_survives_kill_9_of_web_and_postgres(server: Server, tmp_path: Path):
    report = events.run(server, ["web", "postgres"] * 3, tmp_path / "acknowledged")

    assert report.kills == {"web": 3, "postgres": 3}
    assert report.acknowledged > 200
    assert report.is_clean, report


def test_control_an_event_missing_from_the_database_is_noticed(server: Server, tmp_path: Path):
    """One line too many in the log of the acknowledged is one event lost."""
    log = tmp_path / "acknowledged"
    log.write_text("client-never-sent\n")
    server.wait_until_ready()
    events.EVENT, kept = "fault_control", events.EVENT
    try:
        report = events.run(server, [], log)
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
