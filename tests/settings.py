"""Settings of the tests: a database and a home of their own, which `conftest.py` makes and removes.

`TEST_DATABASE_URL` names a server run by somebody else (a role that may create databases); else an embedded
PostgreSQL is used, one per run, so that several people can test on one machine at the same time.
"""

import os
import secrets
import tempfile
from pathlib import Path

RUN = "COUNTINGHOUSE_TEST_RUN"  # the directory of this run; the parallel workers find it in their environment
if RUN not in os.environ:
    os.environ[RUN] = str(Path(tempfile.gettempdir()) / f"countinghouse-test-{os.getpid()}-{secrets.token_hex(4)}")
RUN_DIR = Path(os.environ[RUN])
RUN_DIR.mkdir(mode=0o711, exist_ok=True)  # the user PostgreSQL runs as must be able to pass

os.environ["APP_HOME"] = str(RUN_DIR)
os.environ["SECRET_KEY"] = "only-for-tests-" + "x" * 50
os.environ["BROKER_URL"] = "memory://"
os.environ.setdefault("DATABASE_POOL_SIZE", "24")  # tests race with up to 16 threads
NOT_INHERITED = "DATABASE_URL LIVEMODE HTTPS_ONLY PUBLIC_URL DEBUG TRUSTED_PROXIES BEHIND_TLS_PROXY EVENTS_KEPT_MONTHS"
NOT_INHERITED += (
    " LATE_USAGE INVOICE_GRACE_SECONDS INVOICE_UPCOMING_DAYS INVOICE_NUMBERING INVOICE_PREFIX DEFAULT_CURRENCY"
)
for name in (*NOT_INHERITED.split(), "ARCHIVE_DIR", "EMAIL_URL", "MAIL_FROM", "OPERATOR_EMAILS", "SECRETS_KEYS"):
    os.environ.pop(name, None)
if given := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = given

from billing_project.settings import *  # noqa: E402, F403

STATIC_ROOT = RUN_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
RATE_LIMIT_PER_SECOND = 0  # tests of limits set their own
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
