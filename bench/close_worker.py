"""One process that closes: says that it is ready, waits to be told, and says what it has done and needed."""

import json
import resource
import sys
from datetime import UTC, datetime

import django

END = datetime(2026, 2, 1, tzinfo=UTC)
NAIVE = 300  # subscriptions: enough to know the speed of the loop


def main(what: str) -> None:
    django.setup()
    from django.db import connection

    from bench.naive.close import close_some
    from core.sweep import sweep
    from invoices.due import CLOSE

    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    done = close_some(NAIVE, END) if what == "naive" else sweep(CLOSE, END)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"done": done, "megabytes": megabytes}))


if __name__ == "__main__":
    main(sys.argv[1])
