"""A receiver of webhooks that is as unreliable as they come, and remembers what it was sent."""

import hashlib
import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Seen = tuple[str, str]  # path, id of the event


class Receiver:
    """`accepted`: what it has answered 2xx, `bodies`: every body it was sent, both by path and event."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.moody = chance, True
        self.accepted: dict[Seen, int] = defaultdict(int)
        self.bodies: dict[Seen, set[str]] = defaultdict(set)
        self.guard = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seen = self.path, self.headers["webhook-id"]
                with receiver.guard:
                    receiver.bodies[seen].add(hashlib.sha256(body).hexdigest())
                    mood = receiver.chance.random() if receiver.moody else 1.0
                if mood < 0.05:
                    self.connection.shutdown(socket.SHUT_RDWR)  # without an answer
                    return
                if mood < 0.2:
                    self.send_error(500)
                    return
                if mood < 0.25:
                    time.sleep(1)
                with receiver.guard:
                    receiver.accepted[seen] += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    @contextmanager
    def listening(self) -> Iterator["Receiver"]:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()
