"""The whole product as processes: what a person does at the prompt."""

import http.client
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest

from tests.faults.events import Api, database_url
from tests.stack import ROOT, children, command_line, wait_for

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("server")]


def gone(server, pids):
    return not any((Path("/proc") / str(pid)).exists() for pid in pids)


def test_becomes_ready_and_names_each_check(server):
    server.wait_until_ready()
    status, body = server.get("/readyz")
    assert (status, set(body["checks"].values())) == (200, {"ok"})
    assert body["checks"].keys() == {"database", "migrations", "worker", "webhooks"}


def test_prints_address_login_and_key_and_keeps_them_private(server):
    for text in (server.url, server.admin_password, server.secret_key):
        assert text in server.log
    for name in ("api_key", "admin_password", "secret_key"):
        assert (server.home / name).stat().st_mode & 0o777 == 0o600


def test_a_second_server_in_the_same_home_is_refused(server):
    command = [sys.executable, "-m", "billing_project.embedded", "serve"]
    done = subprocess.run(command, cwd=ROOT, env=server.env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"is in use by a Countinghouse that runs as process {server.process.pid}" in done.stderr


@pytest.mark.parametrize("name", ["web", "worker", "beat", "webhooks", "postgres", "valkey"])
def test_what_is_killed_comes_back(server, name):
    old = server.pid(name)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: f"{name:<8} | started again" in server.log.split(f"pid {old}")[-1])
    assert server.pid(name) != old
    server.wait_until_ready()


def test_kill_9_leaves_nothing_and_the_next_start_has_the_same_data(own_server):
    own_server.start()
    password, pids = own_server.admin_password, own_server.processes()
    own_server.process.kill()
    own_server.process.wait()
    own_server.start()
    assert gone(own_server, pids)
    assert own_server.admin_password == password
    pids = own_server.processes()
    assert own_server.stop(signal.SIGINT) == 0
    assert gone(own_server, pids)


def test_an_event_under_way_when_the_web_server_is_asked_to_stop_is_answered(server):
    server.wait_until_ready()
    api, name = Api(server), "stop_under_way"
    api.make("/v1/billing/meters", display_name="Stop", event_name=name, **{"default_aggregation[formula]": "sum"})
    customer = api.make("/v1/customers", name="Stop")
    event = {"event_name": name, "payload[stripe_customer_id]": customer, "payload[value]": "1"}
    assert api.call("POST", "/v1/billing/meter_events", **event)[0] == 200
    web, answers = server.pid("web"), []
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'WITH gate'"
    with psycopg.connect(database_url(server)) as held, psycopg.connect(database_url(server), autocommit=True) as seen:
        held.execute("SELECT FROM meters_usageday FOR UPDATE")
        sending = threading.Thread(
            target=lambda: answers.append(Api(server).call("POST", "/v1/billing/meter_events", **event)[0])
        )
        sending.start()
        wait_for(lambda: seen.execute(waits).rowcount == 1)
        os.kill(web, signal.SIGTERM)
        wait_for(lambda: not listens(server.port))
        held.rollback()
    sending.join(20)
    assert answers == [200]
    wait_for(lambda: gone(server, [web]))
    server.wait_until_ready()


def listens(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
        return True
    except OSError:
        return False
    finally:
        connection.close()


def test_a_body_that_is_too_large_is_refused(server):
    server.wait_until_ready()
    body = urlencode({"name": "x" * 3_000_000})
    for path in ("/v1/customers", "/v1/billing/meter_events"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {"Authorization": f"Bearer {server.secret_key}", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        assert (answer.status, b"too large" in answer.read()) == (400, True)


def test_several_web_processes_and_one_that_is_killed_comes_back(own_server):
    own_server.environment["WEB_WORKERS"] = "2"
    own_server.start()

    def workers():
        return {pid for pid in children(own_server.pid("web")) if "spawn_main" in command_line(pid)}

    own_server.wait_until_ready()
    before = workers()
    assert len(before) == 2
    killed = before.pop()
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: len(workers() - {killed}) == 2)
    assert before < workers()
    wait_for(own_server.answers)
    pids = own_server.processes()
    assert own_server.stop() == 0
    wait_for(lambda: gone(own_server, pids), timeout=5)  # the last of them are init's to bury
