"""Keys from the command line."""

from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.core.management import CommandError, call_command

from api.keys import create_api_key, find_api_key
from api.models import ApiKey
from core import clock

pytestmark = pytest.mark.django_db


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command(*words)
    printed = capsys.readouterr().out
    assert printed == printed.strip() + "\n"
    return printed.strip()


def test_only_the_key_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    found = find_api_key(run(capsys, "create_api_key", "--name", "ci"))
    assert found is not None
    assert (found.name, found.kind, found.permissions, found.created_by) == ("ci", "secret", [], "command line")


def test_a_restricted_key_reports_usage_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    secret = run(capsys, "create_api_key", "--name", "sender", "--restricted")
    assert secret.startswith("rk_test_")
    assert find_api_key(secret).permissions == ["meter_events:write"]
    permissions = ["--permission", "usage:read", "--permission", "customers:read"]
    secret = run(capsys, "create_api_key", "--name", "reader", *permissions)
    assert find_api_key(secret).permissions == ["customers:read", "usage:read"]


def test_everything_that_a_key_can_have(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--expires-in-days", "90", "--ip", "10.0.0.0/8", "--ip", "::1", "--rate-limit", "50", "--note", "why"]
    key = find_api_key(run(capsys, "create_api_key", "--name", "x", *words))
    assert key.expires_at == key.created_at + timedelta(days=90)
    assert key.networks == [ip_network("10.0.0.0/8"), ip_network("::1/128")]
    assert (key.rate_limit, key.note) == (50, "why")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--permission", "keys:write"], "There is no permission keys:write"),
        (["--ip", "10.0.0.1/8"], "has host bits set"),
        (["--expires-in-days", "0"], "no whole number"),
        (["--rate-limit", "-1"], "no whole number"),
    ],
)
def test_what_is_refused(words: list[str], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        call_command("create_api_key", "--name", "x", *words)
    assert not ApiKey.objects.exists()


def test_a_key_is_rolled_and_revoked_by_name_or_id(capsys: pytest.CaptureFixture[str]) -> None:
    old, _ = create_api_key("billing", clock.now())
    new = find_api_key(run(capsys, "roll_api_key", "billing", "--overlap-hours", "2"))
    old.refresh_from_db()
    assert old.expires_at == new.created_at + timedelta(hours=2)
    with pytest.raises(CommandError, match="2 keys have that name") as refused:
        call_command("revoke_api_key", "billing")
    assert new.pk in str(refused.value)
    assert "is revoked" in run(capsys, "revoke_api_key", old.pk)
    run(capsys, "revoke_api_key", "billing")
    with pytest.raises(CommandError, match="no usable key"):
        call_command("roll_api_key", "billing")
    with pytest.raises(CommandError, match="has ended"):
        call_command("roll_api_key", new.pk)
    with pytest.raises(CommandError, match="at most 7 days"):
        call_command("roll_api_key", create_api_key("x", clock.now())[0].pk, "--overlap-hours", "169")
