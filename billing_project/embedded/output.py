"""How the lines of several processes are told apart on one screen."""

import os
import sys
from typing import TextIO

COLOURS = {"web": 36, "worker": 32, "beat": 35, "setup": 33, "postgres": 34, "valkey": 31}
WIDTH = max(map(len, COLOURS))
LONGEST_LINE = 64 * 1024


class Screen:
    """Writes whole lines, each with the name of who said it; in colour on a terminal without NO_COLOR."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.coloured = self.stream.isatty() and not os.environ.get("NO_COLOR")
        self._unfinished: dict[str, bytes] = {}

    def line(self, name: str, text: str) -> None:
        prefix = f"{name:<{WIDTH}} |"
        if self.coloured:
            prefix = f"\033[{COLOURS.get(name, 37)}m{prefix}\033[0m"
        self.plain(f"{prefix} {text}")

    def plain(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()

    def feed(self, name: str, data: bytes) -> None:
        """Output as it comes from a pipe; half a line waits for its other half."""
        *lines, rest = (self._unfinished.pop(name, b"") + data).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            self.line(name, line.decode(errors="replace").rstrip("\r"))
        if rest:
            self._unfinished[name] = rest

    def finish(self, name: str) -> None:
        """The process is gone: what it said last, without an end of line."""
        if rest := self._unfinished.pop(name, b""):
            self.line(name, rest.decode(errors="replace"))
