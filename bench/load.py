"""Sends HTTP requests that were made beforehand, over connections that stay open, as fast as they are answered.

A process of its own (`python -m bench.load`, a pickled `Job` on its standard input, a JSON `Told` on its output), so
that what it costs can be told from what is measured: some 10 µs a request. It checks of an answer no more than its
status and length.
"""

import asyncio
import json
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import uvloop


@dataclass(frozen=True)
class Job:
    port: int
    connections: int
    requests: Sequence[bytes]


@dataclass(frozen=True)
class Told:
    """`statuses`: how often each was answered; `refused`: one body that came with none of 200 or 201. `p50`, `p99` in
    milliseconds, the others in seconds."""

    seconds: float
    cpu: float
    p50: float
    p99: float
    statuses: dict[str, int]
    refused: str


def send(job: Job) -> Told:
    """Send all requests of a job, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], input=pickle.dumps(job), check=True, stdout=subprocess.PIPE
    )
    return Told(**json.loads(done.stdout))


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is whole."""

    def __init__(self, requests: Iterator[bytes], run: "_Run") -> None:
        self.requests, self.run = requests, run
        self.buffer = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def next(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.ended.set_result(None)
            return
        self.began = time.perf_counter()
        self.transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = self.buffer[:head].lower()
        at = lower.index(b"\r\ncontent-length:") + 17
        end = lower.find(b"\r\n", at)
        length = int(lower[at:] if end < 0 else lower[at:end])
        if len(self.buffer) >= head + 4 + length:
            self.run.answered(self.buffer[9:12], self.buffer, time.perf_counter() - self.began)
            self.buffer = b""
            self.next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionError("the server has closed the connection"))


class _Run:
    def __init__(self) -> None:
        self.took: list[float] = []
        self.statuses: Counter[bytes] = Counter()
        self.refused = b""

    def answered(self, status: bytes, answer: bytes, took: float) -> None:
        self.took.append(took)
        self.statuses[status] += 1
        if not status.startswith(b"20"):
            self.refused = answer

    async def all_of(self, job: Job) -> Told:
        loop, requests = asyncio.get_running_loop(), iter(job.requests)
        made = [
            await loop.create_connection(lambda: _Connection(requests, self), "127.0.0.1", job.port)
            for _ in range(job.connections)
        ]
        began, cpu = time.perf_counter(), time.process_time()
        for _, connection in made:
            connection.next()
        await asyncio.gather(*[connection.ended for _, connection in made])
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        took = sorted(self.took)
        return Told(
            seconds,
            used,
            1000 * took[len(took) // 2],
            1000 * took[int(0.99 * len(took))],
            {status.decode(): count for status, count in self.statuses.items()},
            self.refused[-500:].decode(errors="replace"),
        )


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_Run().all_of(pickle.loads(sys.stdin.buffer.read()))))))  # noqa: S301
