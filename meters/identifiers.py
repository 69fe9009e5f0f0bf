"""What stands for a text: identifiers for events that came without one, and short hashes kept in columns."""

import uuid
from decimal import Decimal
from hashlib import blake2b


def identifier_of_key(key: str, position: int | None = None) -> str:
    """The identifier of an event that its sender knows by an Idempotency-Key or, in a batch or file, by its position
    there: the same event sent again gets the same one."""
    text = f"{key}\n{'' if position is None else position}"
    return str(uuid.UUID(bytes=blake2b(text.encode(), digest_size=16).digest()))


def hash_of_key(key: str) -> int:
    """31 bits, never 0: enough to tell the retry of one event from another sending of it."""
    return int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "big") >> 1 or 1


def hash_of_text(text: str) -> Decimal:
    """80 bits in place of a number, for a meter that counts different texts: among a million of them, two have the
    same once in 10^12 times."""
    return Decimal(int.from_bytes(blake2b(text.encode(), digest_size=10).digest(), "big"))
