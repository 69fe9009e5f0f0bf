"""How `docs/stripe-compatibility.md` is written from what `tests.wire.compatibility` has found out."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import stripe
from django.urls import get_resolver

from api.views import ApiView
from tests.wire.compatibility import (
    DIFFERENT,
    IN_SECTION,
    REFUSED,
    UNTRIED,
    WORKS,
    Row,
    call_state,
    difference,
    extensions,
)
from tests.wire.differences import ABSENT, OURS, REASONS
from tests.wire.sdk_calls import Call, calls_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stripe-compatibility.md"
# Services whose calls we have too, which the page is not about.
ELSEWHERE = ("billing", "billing_portal", "events", "webhook_endpoints", "v2.core.events", "v2.core.event_destinations")

HEAD = """# What of Stripe's API works here

<!-- Written by script/stripe_compatibility. Do not edit: the words are in tests/wire/differences.py. -->

Every method and parameter that the official client (`stripe` {version} for Python) has for these resources. Each
parameter has been sent to the product, and its answer decides:

- **works**: taken, and a test sends it with the official client and is answered with success; `exercised.json` in
  `tests/wire` names the test. A note says which of Stripe's words are refused, and which words are ours.
- **untried**: taken, but no test sends it yet.
- **different**: taken, and on purpose not quite as at Stripe; the note says how.
- **refused**: a request with it fails with status 400, code `parameter_unknown` and the name as `param`. A hash that is
  refused is one line: so is all that is within it.

Nothing is ignored. `items[]` is any element of a list, `currency_options[*]` any key of a hash. Every method also takes
`expand`.
"""


def page(surveys: Mapping[str, list[Row]]) -> str:
    """The whole page; `surveys` has the rows of each call that we have, by name."""
    parts = [HEAD.format(version=stripe.VERSION), _summary(surveys)]
    parts += [_section(title, calls, surveys) for title, calls in IN_SECTION.items()]
    return "\n".join([*parts, _ours()]).rstrip() + "\n"


def _summary(surveys: Mapping[str, list[Row]]) -> str:
    states = (WORKS, UNTRIED, DIFFERENT, REFUSED)
    lines = ["| resource | methods | not there | works | untried | different | refused |", "| --- |" + " ---: |" * 6]
    total: Counter[str] = Counter()
    for title, calls in IN_SECTION.items():
        counts = Counter(row.state for call in calls for row in surveys.get(call.name, ()))
        counts.update(there=sum(call.name in surveys for call in calls))
        counts.update(absent=len(calls) - counts["there"])
        total += counts
        lines.append(_cells(f"[{title}](#{title.lower().replace(' ', '-')})", counts, states))
    lines.append(_cells("**all**", total, states))
    return "\n".join(lines) + "\n"


def _cells(title: str, counts: Counter[str], states: tuple[str, ...]) -> str:
    return f"| {title} | " + " | ".join(str(counts[name]) for name in ("there", "absent", *states)) + " |"


def _section(title: str, calls: list[Call], surveys: Mapping[str, list[Row]]) -> str:
    lines = [f"## {title}", ""]
    bare = [call for call in calls if call.name in surveys and not surveys[call.name] and not extensions(call)]
    if bare:
        lines += ["Without parameters: " + ", ".join(_named(call) + _untried(call) for call in bare) + ".", ""]
    absent = [call for call in calls if call.name not in surveys]
    if absent:
        lines += ["Not there:", "", *(f"- {_named(call)}{_why_absent(call)}" for call in absent), ""]
    for call in calls:
        if call.name in surveys and call not in bare:
            lines += _method(call, surveys[call.name])
    return "\n".join(lines)


def _method(call: Call, rows: list[Row]) -> list[str]:
    lines = [f"### {call.name}", "", f"`{call.method} {call.path}`{_untried(call)}", ""]
    if rows:
        lines += ["| parameter | | |", "| --- | --- | --- |"]
        lines += [f"| `{row.parameter.name}` | {row.state} | {_note(row)} |".replace("|  |", "| |") for row in rows]
        lines.append("")
    if extra := extensions(call):
        lines += ["Ours: " + ", ".join(f"`{name}`" for name in extra) + ".", ""]
    return lines


def _note(row: Row) -> str:
    if row.state == REFUSED:
        parts = row.parameter.name.replace("]", "").split("[")
        return next((REASONS[part] for part in parts if part in REASONS), "")
    notes = [difference(row.call.name, row.parameter.name) or ""]
    notes += ["refused: " + _listed(row.missing_values)] if row.missing_values else []
    notes += ["ours: " + _listed(row.own_values)] if row.own_values else []
    return "; ".join(note for note in notes if note)


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" if word else "unsetting it" for word in words)


def _named(call: Call) -> str:
    return f"`{call.name}` (`{call.method} {call.path}`)"


def _untried(call: Call) -> str:
    return " *untried*" if call_state(call) == UNTRIED else ""


def _why_absent(call: Call) -> str:
    why = next((why for start, why in ABSENT.items() if call.name.startswith(start)), "")
    return f": {why}" if why else ""


def _ours() -> str:
    """The addresses under /v1 and /v2 that no method of the client asks."""
    known = {(call.method, call.address) for calls in IN_SECTION.values() for call in calls}
    known |= {(call.method, call.address) for name in ELSEWHERE for call in calls_of(name)}
    served = {(method.upper(), path) for method, path in _served(get_resolver().url_patterns)}
    own = sorted((path, method) for method, path in served if (method, path.replace("<str:id>", "x")) not in known)
    lines = [
        "## Methods of ours",
        "",
        "Addresses that the official client has no method for; `raw_request` asks them.",
        "",
    ]
    return "\n".join([*lines, *(_own(method, path.replace("<str:id>", "{id}")) for path, method in own), ""])


def _own(method: str, path: str) -> str:
    note = next((why for part, why in OURS.items() if part in path), "")
    return f"- `{method} {path}`" + (f": {note}" if note else "")


def _served(entries: list) -> Iterator[tuple[str, str]]:
    for entry in entries:
        if hasattr(entry, "url_patterns"):
            yield from _served(entry.url_patterns)
        elif issubclass(getattr(entry.callback, "cls", type(None)), ApiView):
            yield from ((method, f"/{entry.pattern}") for method in entry.callback.actions if method != "head")
