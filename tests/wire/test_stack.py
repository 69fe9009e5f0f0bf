"""The whole product as processes, driven by the official client: web, worker, beat, broker and database."""

import os
import shutil
import subprocess
import sys
import threading
from collections import Counter

import pytest
import stripe

from tests.stack import ROOT, Server, wait_for
from tests.wire.client import DAY, Wire, client_of, unix

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("server")]

JAN, FEB = unix(2026), unix(2026, 2)


@pytest.fixture
def wire(server: Server) -> Wire:
    server.wait_until_ready()
    return Wire(client_of(server.url, server.secret_key, max_network_retries=2), server.url, server.secret_key)


def run(server: Server, *command: str) -> str:
    environment = {**os.environ, "COUNTINGHOUSE_URL": server.url, "COUNTINGHOUSE_KEY": server.secret_key}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example(wire: Wire, server: Server) -> None:
    """From usage to invoice: the figures follow from the 200 requests of the sample."""
    shown = run(server, "examples/usage_to_invoice.py")
    assert "Sent 400 events of 200 requests." in shown
    preview, final = shown.split("\nInvoice ")[1:]
    assert preview.startswith("(preview): draft")
    assert "-0001: open" in final
    assert preview.splitlines()[1:] == final.splitlines()[1:]
    for text in ("40929 token × Completion tokens", "0.31 USD", "193869 token × Prompt tokens (Tier 2", "5.83 USD"):
        assert text in final


def test_real_usage_against_an_independent_calculation(wire: Wire, server: Server) -> None:
    shown = run(server, "script/check_real_usage", "--csv", "examples/llm_requests_sample.csv")
    assert "All equal to the minor unit: 12 lines of 4 invoices" in shown


def test_a_worker_advances_the_clock(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    wire.subscribe(customer, wire.price(meter, unit_amount_decimal="0.05"))
    wire.send(meter, customer, "30")
    wire.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": FEB + 3600})
    wait_for(lambda: wire.v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready")
    [invoice] = wire.invoices(customer)
    assert (invoice.status, invoice.total, invoice.lines.data[0].quantity) == ("open", 2, 30)


def test_the_same_event_fifty_times_from_eight_threads_counts_once(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer(wire.clock())
    answers: Counter[str] = Counter()
    guard = threading.Lock()

    def send(times: int) -> None:
        for _ in range(times):
            try:
                wire.send(meter, customer, "3", identifier="fifty times")
                answer = "taken"
            except stripe.InvalidRequestError as error:
                answer = f"{error.http_status} {error.code} {error.headers['stripe-should-retry']} {error.user_message}"
            with guard:
                answers[answer] += 1

    threads = [threading.Thread(target=send, args=(7 if number < 2 else 6,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {"taken": 1, "400 None false An event already exists with identifier fifty times.": 49}
    bounds = {"customer": customer.id, "start_time": JAN, "end_time": JAN + DAY}
    assert wire.v1.billing.meters.event_summaries.list(meter.id, bounds).data[0].aggregated_value == 3


NODE = ROOT / "examples" / "node"


NO_NODE = shutil.which("node") is None or not (NODE / "node_modules" / "stripe").is_dir()
needs_node = pytest.mark.skipif(NO_NODE, reason="needs node, and `npm install` in examples/node")


def run_node(server: Server, program: str) -> list[str]:
    environment = {**os.environ, "COUNTINGHOUSE_URL": server.url, "COUNTINGHOUSE_KEY": server.secret_key}
    done = subprocess.run(["node", program], cwd=NODE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@needs_node
def test_the_example_for_node(wire: Wire, server: Server) -> None:
    """The official package for another language, unchanged but for where it calls."""
    counted, repeated, too_many = run_node(server, "send_usage.js")
    assert counted.startswith("Counted 103.5 of node_requests_")
    assert repeated == "A repetition: StripeInvalidRequestError duplicate_meter_event"
    assert too_many == "101 events: StripeInvalidRequestError 400"


@needs_node
def test_a_month_is_billed_by_node(wire: Wire, server: Server) -> None:
    """The program compares each figure itself."""
    shown = run_node(server, "bill_a_month.js")
    assert 'Invoices, newest first: [["void",300],["paid",6725],["open",6000]]' in shown
    assert shown[-1] == "Clock deleted: true"
