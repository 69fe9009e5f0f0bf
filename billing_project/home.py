"""Where this installation keeps its data, and how its processes find the database and the broker.

`DATABASE_URL` and `BROKER_URL` name servers run by somebody else. Where they are not set, the embedded
PostgreSQL and Valkey of `billing_project.embedded` are meant, which live on sockets below `$APP_HOME`.
"""

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

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
    """`directory`, or a short stand-in below the temporary directory where a socket's path would be too long."""
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
    return os.environ.get("DATABASE_URL") or default


def broker_url() -> str:
    return os.environ.get("BROKER_URL") or f"redis+socket://{short_dir(valkey_dir())}/broker.sock"


def secret_key() -> str:
    """`$SECRET_KEY`, else a random key made once and kept below the home, readable by its owner only."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    path = app_home() / "secret_key"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        try:
            os.link(draft, path)  # atomic: of two first starts one wins, whole
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
