import stat
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from billing_project import home
from tests.stack import ROOT, Server


def test_sqlite_is_refused_and_says_why(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "sqlite:////tmp/db.sqlite3")
    with pytest.raises(ImproperlyConfigured, match="SQLite is not supported"):
        home.database_url()


def test_the_server_refuses_sqlite_in_one_sentence(tmp_path):
    server = Server(tmp_path, environment={"DATABASE_URL": "sqlite:///x"})
    command = [sys.executable, "-m", "billing_project.embedded", "serve"]
    done = subprocess.run(command, cwd=ROOT, env=server.env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SQLite is not supported" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_secret_key_is_made_once_and_private(monkeypatch, tmp_path):
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.setenv("APP_HOME", str(tmp_path / "new"))
    assert home.secret_key() == home.secret_key()
    assert stat.S_IMODE((tmp_path / "new/secret_key").stat().st_mode) == 0o600


def test_of_two_writers_the_first_wins_unless_it_is_to_be_replaced(tmp_path):
    path = tmp_path / "secret"
    for text in ("one", "two"):
        home.write_secret(path, text, replace=False)
    assert path.read_text() == "one"
    home.write_secret(path, "three")
    assert path.read_text() == "three"
    assert list(tmp_path.iterdir()) == [path]
