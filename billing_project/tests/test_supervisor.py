import os
import signal
import subprocess
import sys
import textwrap
import time
from io import StringIO
from pathlib import Path

import pytest

from billing_project.embedded.lock import home_lock
from billing_project.embedded.output import Screen
from billing_project.embedded.processes import Child, StartError
from billing_project.embedded.supervisor import Supervisor
from tests.stack import ROOT, wait_for

# A supervisor of one shell that has a child itself; says its pids on its output.
PROGRAM = """
    import sys
    from pathlib import Path
    from billing_project.embedded.lock import home_lock
    from billing_project.embedded.processes import Child
    from billing_project.embedded.supervisor import Supervisor
    supervisor = Supervisor()
    with home_lock(Path(sys.argv[1])) as lock, supervisor.until_stopped():
        supervisor.add(Child("web", ["/bin/sh", "-c", sys.argv[2]], inherit=(lock,)))
        supervisor.watch()
"""
TWO_PROCESSES = "sleep 1000 & echo pids $$ $!; wait"


class Run:
    def __init__(self, home: Path, command: str = TWO_PROCESSES) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(home), command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, word: str) -> str:
        for line in self.process.stdout:
            if word in line:
                return line
        raise AssertionError(f"ended without {word}")

    def pids(self) -> list[int]:
        return [int(word) for word in self.read_until("pids").split("pids")[1].split()]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_process(tmp_path, number):
    run = Run(tmp_path)
    pids = run.pids()
    run.process.send_signal(number)
    assert run.process.wait(10) == 0
    wait_for(lambda: all(map(gone, pids)), timeout=3)


def test_what_ignores_the_request_is_killed_when_asked_twice(tmp_path):
    run = Run(tmp_path, "trap '' TERM; echo pids $$; while :; do sleep 0.1; done")
    (pid,) = run.pids()
    run.process.terminate()
    time.sleep(0.3)
    assert not gone(pid)
    run.process.terminate()
    assert run.process.wait(5) == 0
    assert gone(pid)


def test_kill_9_of_the_supervisor_leaves_its_direct_children_no_life(tmp_path):
    run = Run(tmp_path, "echo pids $$; while :; do sleep 0.1; done")
    pids = run.pids()
    run.process.kill()
    wait_for(lambda: all(map(gone, pids)), timeout=3)
    again = Run(tmp_path)  # the lock is free as soon as the last of them is gone
    assert again.pids()
    again.process.terminate()
    again.process.wait(10)


def test_a_process_that_dies_is_started_again_and_what_it_left_is_ended(tmp_path):
    run = Run(tmp_path)
    leader, grandchild = run.pids()
    os.kill(leader, signal.SIGKILL)
    assert "ended by SIGKILL; starting again in 0.25 s" in run.read_until("ended")
    again = run.pids()
    assert gone(grandchild)
    assert not set(again) & {leader, grandchild}
    run.process.terminate()
    run.process.wait(10)


def test_the_pause_between_starts_grows(tmp_path):
    run = Run(tmp_path, "exit 3")
    for pause in ("0.25", "0.5", "1"):
        assert f"ended with exit code 3; starting again in {pause} s" in run.read_until("ended")
    run.process.terminate()
    run.process.wait(10)


def test_a_second_start_in_one_home_is_refused(tmp_path):
    with home_lock(tmp_path), pytest.raises(StartError, match=f"in use by .* process {os.getpid()}"):
        home_lock(tmp_path).__enter__()


def test_a_command_is_run_to_its_end_and_shows_its_lines():
    stream = StringIO()
    supervisor = Supervisor(Screen(stream))
    with supervisor.until_stopped():
        assert supervisor.run_to_end(Child("setup", ["/bin/sh", "-c", "echo one; printf two; exit 4"])) == 4
    assert stream.getvalue() == "setup    | one\nsetup    | two\n"


def test_a_death_before_it_is_ready_is_an_error():
    supervisor = Supervisor(Screen(StringIO()))
    with supervisor.until_stopped():
        supervisor.add(Child("web", ["/bin/sh", "-c", "exit 7"]))
        with pytest.raises(StartError, match="web ended with exit code 7 before it was ready"):
            supervisor.watch(may_die=False)


def test_half_a_line_waits_for_its_other_half():
    stream = StringIO()
    screen = Screen(stream)
    screen.feed("web", b"hel")
    screen.feed("beat", b"tick\n")
    screen.feed("web", b"lo\r\nrest")
    screen.finish("web")
    assert stream.getvalue() == "beat     | tick\nweb      | hello\nweb      | rest\n"
