"""What a restricted key may be allowed: `family:read` and `family:write` for each family of addresses.

The set is closed, and nobody keeps it by hand: it is what the addresses that are served ask for. An address that asks
for nothing a key could have is open to secret keys only.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from django.conf import settings
from django.urls import get_resolver, get_urlconf

READ, WRITE = "read", "write"
# The one that programs which only report usage should have.
METERING = "meter_events:write"


def permissions() -> tuple[str, ...]:
    """All there are, sorted."""
    return _permissions(get_urlconf() or settings.ROOT_URLCONF)


@cache
def _permissions(urlconf: str) -> tuple[str, ...]:
    return tuple(sorted({needed for _, _, needed in served(get_resolver(urlconf).url_patterns) if needed}))


def served(patterns: Sequence[Any]) -> Iterator[tuple[str, str, str | None]]:
    """Method, address and permission of everything that needs a key."""
    for entry in patterns:
        if hasattr(entry, "url_patterns"):
            yield from served(entry.url_patterns)
            continue
        view: Any = getattr(entry.callback, "cls", None)
        if hasattr(view, "permission_of"):
            for method, action in entry.callback.actions.items():
                if method != "head":
                    yield method, f"/{entry.pattern}", view.permission_of(action, method)


def permission_for(family: str, method: str) -> str:
    """What a call of `method` needs where nothing else is said."""
    return f"{family}:{READ if method.lower() in ('get', 'head') else WRITE}"
