"""Where this installation keeps its data, and how its processes find the database and the broker.

`DATABASE_URL` and `BROKER_URL` name servers run by somebody else. Where they are not set, the embedded
PostgreSQL and Valkey of `billing_project.embedded` are meant, which live on sockets below `$APP_HOME`.
"""

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

APP = "countinghouse"
MAX_SOCKET_DIR = 80  # a socket's whole path may have 107 bytes


def app_home() -> Path:
    """`$APP_HOME`, else `/var/lib/countinghouse` for root, else below `$XDG_STATE_HOME`."""
    if home := os.environ.get("APP_HOME"):
        return Path(home).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib") / APP
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / APP


def short_dir(directory: Path) -> Path:
    """`directory`, or a short stand-in below the temporary directory where socket paths would be too long."""
    if len(os.fsencode(directory)) < MAX_SOCKET_DIR:
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"{APP}-{os.geteuid()}-{digest}"


def postgres_dir() -> Path:
    return app_home() / "pg"


def valkey_dir() -> Path:
    return app_home() / "vk"


def database_url() -> str:
    default = f"postgresql://{APP}@/{APP}?host={short_dir(postgres_dir())}&port=5432"
    url = os.environ.get("DATABASE_URL") or default
    if not url.startswith(("postgresql://", "postgres://")):
        kind = url.partition(":")[0]
        raise ImproperlyConfigured(
            f"DATABASE_URL names a database of kind {kind!r}; Countinghouse needs PostgreSQL 15 or newer "
            "(postgresql://user:password@host/name). SQLite is not supported: it has no exact decimals and no "
            "row locks. Without DATABASE_URL an embedded PostgreSQL is used."
        )
    return url


def broker_url() -> str:
    return os.environ.get("BROKER_URL") or f"redis+socket://{short_dir(valkey_dir())}/broker.sock"


def secret_key() -> str:
    """`$SECRET_KEY`, else a random key made once and kept below the home."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    path = app_home() / "secret_key"
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(64), replace=False)
    return path.read_text()


def secrets_keys() -> list[str]:
    """What seals the secrets that the database keeps: the first key seals, all of them open.

    `$SECRETS_KEYS`, several with commas between them; else a random key made once and kept below the home.
    """
    path = app_home() / "secrets_key"
    keys = [key for word in os.environ.get("SECRETS_KEYS", "").split(",") if (key := word.strip())]
    if not keys:
        if not path.exists():
            write_secret(path, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(), replace=False)
        keys = [path.read_text()]
    if not all(map(_is_sealing_key, keys)):
        raise ImproperlyConfigured(
            "SECRETS_KEYS: each key must be 32 random bytes in URL-safe base64, as made by "
            """`python -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"`."""
        )
    return keys


def _is_sealing_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == 32
    except (binascii.Error, ValueError):
        return False


def write_secret(path: Path, text: str, *, replace: bool = True) -> None:
    """A file that only its owner can read, whole or not at all; unless `replace`, the first writer wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    if replace:
        draft.replace(path)
        return
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
