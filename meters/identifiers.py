"""Identifiers for events that came without one."""

import hashlib
import uuid


def identifier_of_key(key: str, position: int | None = None) -> str:
    """The identifier of an event that its sender knows by an Idempotency-Key, or by a place in something so known."""
    text = f"{key}\n{'' if position is None else position}"
    return str(uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest()))
