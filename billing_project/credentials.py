"""The first admin login and the first API key: made once, kept below the home for their owner's eyes only."""

import secrets
from pathlib import Path

from billing_project import home

ADMIN = "admin"
FIRST_KEY = "first_api_key"  # the milestone: this database has been given its key


def _password_file() -> Path:
    return home.app_home() / "admin_password"


def _key_file() -> Path:
    return home.app_home() / "api_key"


def _kept(path: Path) -> str | None:
    return path.read_text().strip() or None if path.exists() else None


def admin_password() -> str | None:
    """None when it is not known here: another home made it, or its owner has changed it."""
    return _kept(_password_file())


def api_key() -> str | None:
    return _kept(_key_file())


def make_admin() -> None:
    """Make the user `admin` if the database has none; forget our note of a password that no longer fits."""
    from django.contrib.auth import get_user_model

    users = get_user_model()._default_manager
    user = users.filter(username=ADMIN).first()
    if user is None:
        home.write_secret(_password_file(), admin_password() or secrets.token_urlsafe(15))
        users.create_superuser(username=ADMIN, email="", password=admin_password())  # type: ignore[attr-defined]
    elif (password := admin_password()) and not user.check_password(password):
        _password_file().unlink()


def make_api_key() -> None:
    """Make this database's first secret key; later only forget our note of a key that is no longer good."""
    from api.keys import create_api_key, find_api_key
    from core import clock
    from core.models import Milestone

    at, kept = clock.now(), api_key()
    row = find_api_key(kept) if kept else None
    if row and row.is_usable(at):
        return
    _key_file().unlink(missing_ok=True)
    if not Milestone.objects.filter(name=FIRST_KEY).exists():
        _, secret = create_api_key("first start", at)
        home.write_secret(_key_file(), secret)
        Milestone.objects.create(name=FIRST_KEY, reached_at=at)
