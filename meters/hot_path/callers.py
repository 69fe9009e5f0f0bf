"""Whose key a request carries; what it may do is for `api.callers.check` to say, at each call."""

import asyncio
import hmac
import secrets
import time

from api import auth, keys
from api.callers import Caller
from core import clock
from meters.hot_path.threads import in_thread

AHEAD_SECONDS = 3.0  # from then on a key in use is read again, while it still serves
MOST_SECONDS = keys.CALLERS_LAST.total_seconds()  # a revocation is effective by then, even if nobody tells of it
MOST = 1_000
Known = dict[bytes, tuple[Caller, float]]  # the caller, and when it was read


class Callers:
    """Callers by a hash of the Authorization header, under a secret of this process; no key is kept itself."""

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)
        self.changed()

    def changed(self) -> None:
        self.known: Known = {}
        self.reading: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def find(self, header: bytes) -> Caller | None:
        """The caller; None where Django has to say what is wrong."""
        mark = hmac.digest(self.secret, header, "sha256")
        caller, read_at = self.known.get(mark, (None, 0.0))
        age = time.monotonic() - read_at
        if caller is None or age > MOST_SECONDS:
            return await self._reading(mark, header)
        if age > AHEAD_SECONDS:
            self._reading(mark, header)
        return caller

    def _reading(self, mark: bytes, header: bytes) -> "asyncio.Task[Caller | None]":
        """One for all who ask at the same time."""
        if mark not in self.reading:
            task = asyncio.create_task(self._read(mark, header, self.known))
            self.reading[mark] = task
            task.add_done_callback(lambda _, reading=self.reading: reading.pop(mark))  # type: ignore[misc]
        return self.reading[mark]

    async def _read(self, mark: bytes, header: bytes, known: Known) -> Caller | None:
        """Into `known`, which nobody looks at any more where `changed` has put another one in its place."""
        read_at = time.monotonic()
        try:
            caller = await in_thread(caller_in, header.decode("latin-1"))
        except auth.Unauthenticated:
            known.pop(mark, None)
            return None
        if len(known) >= MOST:
            known.clear()
        known[mark] = caller, read_at
        return caller


def caller_in(header: str) -> Caller:
    """The caller whose key an Authorization header carries; its use is noted. Raises Unauthenticated."""
    secret = auth.secret_in(header)
    auth.refuse_malformed(secret)
    caller = auth.find_caller(secret)
    keys.note_use(caller.key_id, clock.now())
    return caller
