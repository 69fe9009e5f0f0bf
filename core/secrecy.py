"""Secrets that the database must keep and be able to tell again: sealed, so that a dump of it tells none.

A sealed text names its key first, so that what an old key still seals can be found; a key's name is no secret.
"""

import hashlib
from collections.abc import Sequence
from functools import cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def seal(text: str) -> str:
    """`text` under the first of SECRETS_KEYS: `<name of the key>:<token>`."""
    first = settings.SECRETS_KEYS[0]
    return f"{_name(first)}:{Fernet(first).encrypt(text.encode()).decode()}"


def unseal(sealed: str) -> str:
    """What was sealed, under any of SECRETS_KEYS. Raises InvalidToken where none of them opens it."""
    token = sealed.partition(":")[2]
    return _all(tuple(settings.SECRETS_KEYS)).decrypt(token.encode()).decode()


def is_current(sealed: str) -> bool:
    """Whether the first key seals it; only then may the others be forgotten."""
    return sealed.startswith(f"{_name(settings.SECRETS_KEYS[0])}:")


@cache
def _all(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _name(key: str) -> str:
    return hashlib.sha256(b"countinghouse.secrets." + key.encode()).hexdigest()[:8]
