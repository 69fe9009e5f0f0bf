import os
import shutil
import signal
import subprocess

import psycopg
import pytest

from billing_project.embedded.postgres import Postgres
from tests.stack import temporary_home, wait_for


@pytest.fixture(scope="module")
def cluster():
    home = temporary_home()
    postgres = Postgres(home / "pg", fast=True)
    postgres.start()
    yield postgres
    postgres.stop()
    shutil.rmtree(home)


def query(postgres, text):
    with psycopg.connect(postgres.url()) as connection:
        return connection.execute(text).fetchone()[0]


def test_the_application_is_an_ordinary_role_that_owns_its_database(cluster):
    assert query(cluster, "SELECT current_user") == "countinghouse"
    assert query(cluster, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert query(cluster, owner) == "countinghouse"


def test_nothing_listens_on_the_network(cluster):
    assert query(cluster, "SHOW listen_addresses") == ""
    assert cluster.data.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_does_not_own_the_data(cluster):
    assert cluster.data.stat().st_uid != 0


def test_starts_again_after_kill_9_at_once(cluster):
    os.kill(cluster.pid, signal.SIGKILL)
    cluster.process.wait()
    assert (cluster.data / "postmaster.pid").exists()
    cluster.start()
    assert query(cluster, "SELECT 1") == 1


def test_starts_though_its_pid_file_names_another_living_program(cluster):
    os.kill(cluster.pid, signal.SIGKILL)
    cluster.process.wait()
    other = subprocess.Popen(["sleep", "1000"])
    pid_file = cluster.data / "postmaster.pid"
    pid_file.write_text(f"{other.pid}\n" + pid_file.read_text().split("\n", 1)[1])
    cluster.start()
    other.kill()
    other.wait()
    assert query(cluster, "SELECT 1") == 1


def test_a_long_home_is_no_hindrance():
    home = temporary_home()
    postgres = Postgres(home / ("long-" * 20) / "pg", fast=True)
    postgres.start()
    assert str(postgres.socket_dir) not in str(postgres.data)
    assert postgres.socket_dir.stat().st_mode & 0o777 == 0o700
    assert query(postgres, "SELECT 1") == 1
    postgres.stop()
    wait_for(lambda: postgres.exit_code() is not None)
    shutil.rmtree(home)
    shutil.rmtree(postgres.socket_dir)
