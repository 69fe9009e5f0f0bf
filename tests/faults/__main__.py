"""`script/faults`: the long versions of the fault tests; prints figures, ends with 1 when something was violated."""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.faults import events, workers
from tests.stack import ROOT, Server, temporary_home

BEGIN = time.monotonic()


def say(line: str) -> None:
    print(f"{time.monotonic() - BEGIN:7.1f} s  {line}", flush=True)


def run_events(options: argparse.Namespace, server: Server) -> bool:
    """kill -9 of web and PostgreSQL by turns; the control kills PostgreSQL only, and expects a loss."""
    names = ["postgres"] if options.control else ["web", "postgres"]
    kills = list(itertools.islice(itertools.cycle(names), options.kills))
    if options.control:
        say("synchronous_commit is off: acknowledged events may be lost, and have to be")
    log = Path(tempfile.mkdtemp(prefix="countinghouse-faults-")) / "acknowledged"
    try:
        report = events.run(server, kills, log, forgetful=options.control, say=say)
    finally:
        shutil.rmtree(log.parent, ignore_errors=True)
    print(json.dumps(asdict(report), indent=2))
    return report.lost > 0 if options.control else report.is_clean


def run_workers(options: argparse.Namespace, server: Server) -> bool:
    """Two beats, four workers, an emptied broker."""
    state = workers.run(server, customers=options.customers, kills=options.kills, timeout=600, say=say)
    print(json.dumps(state, indent=2))
    wanted = options.customers * workers.WEEKS
    done = not state["due"] and state["invoices"] == state["open"] == wanted
    return done and not state["wrong"] and workers.in_django(server, "seed.sees_a_second_invoice()") is True


def run_pauses() -> int:
    """Every ordered pair of verbs at every step."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/faults/test_pauses.py", "-n", "2"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"FAULTS": "all"}, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/faults", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    acked = commands.add_parser("events", help="kill web and PostgreSQL under clients that send events")
    acked.add_argument("--kills", type=int, default=20)
    acked.add_argument("--control", action="store_true", help="synchronous_commit=off; has to lose events")
    crowded = commands.add_parser("workers", help="two beats and four workers, killed, stopped, their broker emptied")
    crowded.add_argument("--customers", type=int, default=200)
    crowded.add_argument("--kills", type=int, default=6)
    commands.add_parser("pauses", help="stop each verb at each of its steps while each other one runs")
    options = parser.parse_args()
    if options.command == "pauses":
        return run_pauses()
    server = Server(temporary_home(), environment={"INVOICE_GRACE_SECONDS": "1"})
    try:
        server.start()
        run = {"events": run_events, "workers": run_workers}[options.command]
        held = run(options, server)
    finally:
        if server.process and server.process.poll() is None:
            server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
    say("held" if held else "VIOLATED")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
