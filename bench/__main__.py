"""`script/bench ingest` and `script/bench archive`: measure on a PostgreSQL of its own, which is removed afterwards."""

import argparse
import os
import secrets
import shutil
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench", description="Measure on a PostgreSQL of its own.")
    parser.add_argument("what", choices=["ingest", "archive"])
    parser.add_argument(
        "--events", type=int, default=50_000, help="in each batched item and round (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="all items in each, one after another (default: %(default)s)"
    )
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="countinghouse-bench-"))
    home.chmod(0o711)
    os.environ |= {
        "APP_HOME": str(home),
        "SECRET_KEY": secrets.token_hex(32),
        "DJANGO_SETTINGS_MODULE": "billing_project.settings",
    }
    os.environ.pop("DATABASE_URL", None)
    try:
        from bench.server import running

        with running(home):
            from bench import archive, ingest  # models can be imported only now

            if given.what == "archive":
                archive.run(events=given.events, reads=100 * given.rounds)
            else:
                ingest.run(events=given.events, rounds=given.rounds)
    finally:
        shutil.rmtree(home, ignore_errors=True)


main()
