"""The whole product as processes: what a person does at the prompt."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import ROOT, wait_for

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("server")]


def gone(server, pids):
    return not any((Path("/proc") / str(pid)).exists() for pid in pids)


def test_becomes_ready_and_names_each_check(server):
    server.wait_until_ready()
    status, body = server.get("/readyz")
    assert (status, set(body["checks"].values())) == (200, {"ok"})
    assert body["checks"].keys() == {"database", "migrations", "worker"}


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


@pytest.mark.parametrize("name", ["web", "worker", "beat", "postgres", "valkey"])
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
