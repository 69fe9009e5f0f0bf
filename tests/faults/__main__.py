"""`script/faults`: the long versions of the fault tests; prints figures, ends with 1 when something was violated."""

import argparse
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.faults import events, live, storms, workers
from tests.stack import ROOT, Server, temporary_home

BEGIN = time.monotonic()


def say(line: str) -> None:
    print(f"{time.monotonic() - BEGIN:7.1f} s  {line}", flush=True)


def run_ingest(options: argparse.Namespace, server: Server) -> bool:
    """kill -9 of web and PostgreSQL below two servers; the control kills PostgreSQL only, and expects a loss."""
    names = ["postgres"] if options.control else ["web", "postgres"]
    kills = [name for name in names for _ in range(options.kills)]
    random.Random(options.seed).shuffle(kills)
    say(f"seed {options.seed}: {', '.join(f'{kills.count(name)} × {name}' for name in names)}")
    if options.control:
        say("synchronous_commit is off: acknowledged events may be lost, and have to be")
    log = Path(tempfile.mkdtemp(prefix="countinghouse-faults-")) / "acknowledged"
    try:
        with events.neighbour(server, temporary_home()) as second:
            report = events.run([server, second], kills, log, forgetful=options.control, seed=options.seed, say=say)
    finally:
        shutil.rmtree(log.parent, ignore_errors=True)
    print(json.dumps(asdict(report), indent=2))
    return report.lost > 0 if options.control else report.is_clean


def run_storm(options: argparse.Namespace, server: Server) -> bool:
    """Duplicates, conflicts and crossing batches."""
    say(f"seed {options.seed}")
    held = True
    for name, storm in storms.ALL.items():
        left = storm(server, random.Random(options.seed))
        say(f"{name}: {left.answers}; {'; '.join(left.wrong) or 'held'}")
        held = held and not left.wrong
    return held


def run_workers(options: argparse.Namespace, server: Server) -> bool:
    """Two beats, four workers, an emptied broker."""
    state = workers.run(server, customers=options.customers, kills=options.kills, timeout=600, say=say)
    print(json.dumps(state, indent=2))
    wanted = options.customers * workers.WEEKS
    done = not state["due"] and state["invoices"] == state["open"] == wanted
    return done and not state["wrong"] and workers.in_django(server, "seed.sees_a_second_invoice()") is True


def run_live(options: argparse.Namespace, server: Server) -> bool:
    """kill -9 of everything below credits, alerts and webhooks; the control loses a webhook, which has to be seen."""
    kills = [name for name in live.PROCESSES for _ in range(options.kills)]
    random.Random(options.seed).shuffle(kills)
    say(f"seed {options.seed}: {options.kills} × each of {', '.join(live.PROCESSES)}")
    log = Path(tempfile.mkdtemp(prefix="countinghouse-faults-")) / "acknowledged"
    try:
        report = live.run(server, kills, log, seed=options.seed, say=say, control=options.control)
    finally:
        shutil.rmtree(log.parent, ignore_errors=True)
    print(json.dumps(asdict(report), indent=2))
    if options.control:
        return any("evt_lost" in what for what in report.wrong)
    return report.is_clean


def run_tests(*arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"FAULTS": "all"}, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/faults", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    acked = commands.add_parser("ingest", aliases=["events"], help="kill web and PostgreSQL under clients that send")
    acked.add_argument("--kills", type=int, default=20, help="of each (%(default)s)")
    acked.add_argument("--control", action="store_true", help="synchronous_commit=off; has to lose events")
    stormy = commands.add_parser("storm", help="duplicates, conflicts, and batches in any order, from eight threads")
    alive = commands.add_parser("live", help="kill everything below credits, alerts and webhooks, two beats always on")
    alive.add_argument("--kills", type=int, default=20, help="of each (%(default)s)")
    alive.add_argument("--control", action="store_true", help="a webhook is lost on purpose; has to be seen")
    for seeded in (acked, stormy, alive):
        seeded.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of what is random")
    crowded = commands.add_parser("workers", help="two beats and four workers, killed, stopped, their broker emptied")
    crowded.add_argument("--customers", type=int, default=200)
    crowded.add_argument("--kills", type=int, default=6)
    commands.add_parser("pauses", help="stop each verb at each of its steps while each other one runs")
    commands.add_parser("steps", help="crash and pause at every step, where the tests try every fifth")
    commands.add_parser("controls", help="wrong ways to take events in, each of which has to be found out")
    options = parser.parse_args()
    if options.command == "pauses":
        return run_tests("tests/faults/test_pauses.py", "-n", "2")
    if options.command == "steps":
        return run_tests("tests/faults", "-n", "2", "-k", "step or wallet or hold or crash")
    if options.command == "controls":
        return run_tests("tests/faults", "-k", "control", "-v")
    environment = {"INVOICE_GRACE_SECONDS": "1", "WEB_WORKERS": "2"}
    environment |= live.ENVIRONMENT if options.command == "live" else {}
    server = Server(temporary_home(), environment=environment, program=events.HURRIED)
    try:
        server.start()
        runs = {
            "ingest": run_ingest,
            "events": run_ingest,
            "storm": run_storm,
            "workers": run_workers,
            "live": run_live,
        }
        run = runs[options.command]
        held = run(options, server)
    finally:
        if server.process and server.process.poll() is None:
            server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
    say("held" if held else "VIOLATED")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
