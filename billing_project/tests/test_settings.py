"""What only shows in a process of its own: the settings are read once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def shown(code: str, setting: str, **environment: str) -> str:
    """A setting as a process has it that has run `code`."""
    own = {"DJANGO_SETTINGS_MODULE": "billing_project.settings"}
    command = f"{code}; from django.conf import settings; print(settings.{setting})"
    run = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, env=os.environ | own | environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_only_the_web_server_gives_up_long_statements() -> None:
    options, web = "DATABASES['default']['OPTIONS']['options']", "import billing_project.asgi"
    assert "-c statement_timeout=30s" in shown(web, options)
    assert "-c statement_timeout=5s" in shown(web, options, WEB_STATEMENT_SECONDS="5")
    assert "statement_timeout" not in shown("pass", options)


def test_addresses_of_proxies_are_believed_only_where_there_are_proxies() -> None:
    assert shown("pass", "TRUSTED_PROXIES") == "0"
    assert shown("pass", "TRUSTED_PROXIES", BEHIND_TLS_PROXY="true") == "1"
    assert shown("pass", "TRUSTED_PROXIES", BEHIND_TLS_PROXY="true", TRUSTED_PROXIES="2") == "2"


def test_what_is_no_choice_is_refused_at_the_start() -> None:
    for wrong in (
        {"LATE_USAGE": "later"},
        {"INVOICE_NUMBERING": "invoice"},
        {"INVOICE_NUMBERING": "account"},
        {"INVOICE_NUMBERING": "account", "INVOICE_PREFIX": "acme"},
        {"DEFAULT_CURRENCY": "USD"},
        {"INVOICE_GRACE_SECONDS": "259201"},
    ):
        with pytest.raises(AssertionError, match="ImproperlyConfigured"):
            shown("pass", "LATE_USAGE", **wrong)
    shared = {"INVOICE_NUMBERING": "account", "INVOICE_PREFIX": "ACME", "DEFAULT_CURRENCY": "eur"}
    assert shown("pass", "INVOICE_PREFIX", **shared) == "ACME"
