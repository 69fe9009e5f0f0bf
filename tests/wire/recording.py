"""A pytest plugin that notes which parameters the official client has sent with success, and in which test.

    python -m pytest -p tests.wire.recording tests/wire

writes `exercised.json`: call of the SDK -> parameter -> the first test, in the order of names, that sent it and was
answered with 2xx. The call itself is noted under "".
"""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import stripe

FILE = Path(__file__).with_name("exercised.json")

_sent: set[tuple[str, str, tuple[str, ...], str]] = set()  # (method, path, names, test)


def pytest_configure(config: pytest.Config) -> None:
    """Listen where all requests of the client pass; it is the client that is listened to, not the product."""
    ask = stripe.HTTPClient.request_with_retries

    def listening(self: Any, method: str, url: str, headers: Any, post_data: Any = None, *more: Any, **kw: Any) -> Any:
        answer = ask(self, method, url, headers, post_data, *more, **kw)
        if 200 <= answer[1] < 300:
            _note(method, url, post_data)
        return answer

    stripe.HTTPClient.request_with_retries = listening  # type: ignore[method-assign]


def pytest_sessionfinish(session: pytest.Session) -> None:
    from tests.wire.compatibility import CALLS, known_names

    found: dict[str, dict[str, str]] = defaultdict(dict)
    for method, path, names, test in sorted(_sent, key=lambda sent: sent[3]):
        call = next((call for call in CALLS if call.serves(method, path)), None)
        if call is not None:
            known = known_names(call)
            for name in ("", *(one for one in known if any(known[one].match(name) for name in names))):
                found[call.name].setdefault(name, test)
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def _note(method: str, url: str, body: Any) -> None:
    parts = urlsplit(url)
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if isinstance(body, str) and body.startswith("{"):
        names += _names_in(json.loads(body))
    elif isinstance(body, str):
        names += [name for name, _ in parse_qsl(body, keep_blank_values=True)]
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0].partition("[")[0]
    _sent.add((method.upper(), parts.path, tuple(sorted(set(names))), test))


def _names_in(value: Any, outer: str = "") -> list[str]:
    """The names of what a JSON body has, in brackets."""
    if isinstance(value, dict):
        inner = [(f"{outer}[{name}]" if outer else name, one) for name, one in value.items()]
    elif isinstance(value, list):
        inner = [(f"{outer}[{number}]", one) for number, one in enumerate(value)]
    else:
        return [outer]
    return [name for full, one in inner for name in _names_in(one, full)]
