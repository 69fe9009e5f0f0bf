"""`script/bench`: measures on a PostgreSQL of its own, removed afterwards; ends with 1 where a goal is not met."""

import argparse
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from billing_project.embedded.postgres import Postgres


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    ingest = commands.add_parser("ingest", help="events per second, by every way in, beside the floors of the same run")
    ingest.add_argument("--events", type=int, default=150_000, help="in each batched item and round (%(default)s)")
    ingest.add_argument("--singles", type=int, default=60_000, help="in each single item and round (%(default)s)")
    ingest.add_argument("--rounds", type=int, default=3, help="all items in each, one after another (%(default)s)")
    ingest.add_argument("--grow", type=int, metavar="EVENTS", help="instead: batches at 1,000,000 and at EVENTS")
    usage = commands.add_parser("usage", help="how long a question about a month takes")
    usage.add_argument("--events", type=sizes, default=sizes("1000000,10000000"), help="(1000000,10000000)")
    usage.add_argument("--questions", type=int, default=300, help="of each kind (%(default)s)")
    archive = commands.add_parser("archive", help="a month of events as a file: its size, its making, its reading")
    archive.add_argument("--events", type=int, default=50_000, help="of the month (%(default)s)")
    archive.add_argument("--rounds", type=int, default=3, help="of a hundred readings (%(default)s)")
    close = commands.add_parser("close", help="subscriptions closed per second, beside the floor of the same run")
    close.add_argument("--subscriptions", type=sizes, default=sizes("10000,100000"), help="(10000,100000)")
    balance = commands.add_parser("balance", help="live balances and holds per second of a customer with 100 grants")
    balance.add_argument("--events", type=sizes, default=sizes("10000,1000000"), help="(10000,1000000)")
    balance.add_argument("--requests", type=int, default=2000, help="of each kind and round (%(default)s)")
    balance.add_argument("--rounds", type=int, default=3, help="all kinds in each, one after another (%(default)s)")
    alerts = commands.add_parser("alerts", help="ingestion with usage alerts on every event, beside plain ingestion")
    alerts.add_argument("--events", type=int, default=100_000, help="of each and round (%(default)s)")
    alerts.add_argument("--rounds", type=int, default=3, help="one after another (%(default)s)")
    return parser.parse_args()


def sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


def measure(given: argparse.Namespace, postgres: Postgres) -> bool:
    from bench import alerts, archive, balance, close, grow, ingest, usage  # models can be imported only now

    if given.what == "alerts":
        return alerts.run(events=given.events, rounds=given.rounds)
    if given.what == "archive":
        archive.run(events=given.events, reads=100 * given.rounds)
        return True
    if given.what == "balance":
        return balance.run(postgres, sizes=given.events, requests=given.requests, rounds=given.rounds)
    if given.what == "close":
        return close.run(postgres, sizes=given.subscriptions)
    if given.what == "usage":
        return usage.run(postgres, sizes=given.events, questions=given.questions)
    if given.grow:
        return grow.run(postgres, to=given.grow)
    return ingest.run(postgres, events=given.events, singles=given.singles, rounds=given.rounds)


def main() -> bool:
    given = arguments()
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

        with running(home) as postgres:
            return measure(given, postgres)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
