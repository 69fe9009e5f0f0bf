"""To be replaced by `meters.records.identifier_of_key`, which is the same."""

import hashlib
import uuid


def identifier_of_key(key: str, position: int | None = None) -> str:
    """The identifier of an event that came without one, in a request with an idempotency key."""
    text = f"{key}\n{'' if position is None else position}"
    return str(uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest()))
