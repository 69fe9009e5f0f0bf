"""Whose key a request carries: the one place of the hot path where keys are checked."""

import asyncio
import hmac
import secrets
import time

from api import auth, keys
from api.models import ApiKey
from core import clock
from meters.hot_path.threads import in_thread

AHEAD_SECONDS = 3.0  # from then on a key in use is read again, while it still serves
MOST_SECONDS = 5.0  # a revocation is effective by then, even if nobody tells of it
MOST = 1_000
Known = dict[bytes, tuple[ApiKey, float]]  # the key, and when it was read


class Callers:
    """Usable keys by a hash of the Authorization header, under a secret of this process; no key is kept itself."""

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)
        self.changed()

    def changed(self) -> None:
        self.known: Known = {}
        self.reading: dict[bytes, asyncio.Task[ApiKey | None]] = {}

    async def find(self, header: bytes) -> ApiKey | None:
        """The caller; None where Django has to say what is wrong."""
        mark = hmac.digest(self.secret, header, "sha256")
        key, read_at = self.known.get(mark, (None, 0.0))
        age = time.monotonic() - read_at
        if key is None or age > MOST_SECONDS:
            key = await self._reading(mark, header)
        elif age > AHEAD_SECONDS:
            self._reading(mark, header)
        return key if key is not None and key.is_usable(clock.now()) else None

    def _reading(self, mark: bytes, header: bytes) -> "asyncio.Task[ApiKey | None]":
        """One for all who ask at the same time."""
        if mark not in self.reading:
            task = asyncio.create_task(self._read(mark, header, self.known))
            self.reading[mark] = task
            task.add_done_callback(lambda _, reading=self.reading: reading.pop(mark))  # type: ignore[misc]
        return self.reading[mark]

    async def _read(self, mark: bytes, header: bytes, known: Known) -> ApiKey | None:
        """Into `known`, which nobody looks at any more where `changed` has put another one in its place."""
        read_at = time.monotonic()
        try:
            key = await in_thread(usable_key, header.decode("latin-1"))
        except auth.Unauthenticated:
            known.pop(mark, None)
            return None
        if len(known) >= MOST:
            known.clear()
        known[mark] = key, read_at
        return key


def usable_key(header: str) -> ApiKey:
    """The key that an Authorization header carries; its use is noted. Raises Unauthenticated."""
    key = auth.key_of(auth.secret_in(header))
    keys.note_use(key, clock.now())
    return key
