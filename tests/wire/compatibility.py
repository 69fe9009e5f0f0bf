"""What the running product says about each parameter that the official client knows: taken, refused or ignored."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.test import Client
from django.urls import Resolver404, resolve

from api.openapi import params_schema
from api.params import Params
from tests.wire.differences import DIFFERENCES
from tests.wire.sdk_calls import Call, Parameter, calls_of, parameters_of

# Title of a section of the page -> the services of the SDK that it is about.
SECTIONS = {
    "Meters": ("billing.meters",),
    "Meter events": (
        "billing.meter_events",
        "billing.meter_event_adjustments",
        "v2.billing.meter_events",
        "v2.billing.meter_event_session",
        "v2.billing.meter_event_stream",
        "v2.billing.meter_event_adjustments",
    ),
    "Billing credits": (
        "billing.credit_grants",
        "billing.credit_balance_transactions",
        "billing.credit_balance_summary",
    ),
    "Alerts": ("billing.alerts",),
    "Events": ("events", "v2.core.events"),
    "Webhook endpoints": ("webhook_endpoints", "v2.core.event_destinations"),
    "Customers": ("customers",),
    "Products": ("products",),
    "Prices": ("prices",),
    "Coupons": ("coupons",),
    "Promotion codes": ("promotion_codes",),
    "Tax rates": ("tax_rates",),
    "Subscriptions": ("subscriptions",),
    "Subscription items": ("subscription_items",),
    "Subscription schedules": ("subscription_schedules",),
    "Invoices": ("invoices",),
    "Invoice items": ("invoice_items",),
    "Invoice payments": ("invoice_payments",),
    "Credit notes": ("credit_notes",),
    "Test clocks": ("test_helpers.test_clocks",),
}
IN_SECTION = {title: [call for name in names for call in calls_of(name)] for title, names in SECTIONS.items()}
# `/search` and `/preview` before `/{id}`, which would take them for an id.
CALLS = sorted((call for calls in IN_SECTION.values() for call in calls), key=lambda call: call.path.count("{"))

EXERCISED = Path(__file__).with_name("exercised.json")
NOT_YET_EXERCISED = Path(__file__).with_name("not_yet_exercised.txt")


WORKS, UNTRIED, REFUSED, DIFFERENT, IGNORED = "works", "untried", "refused", "different", "ignored"


@dataclass(frozen=True)
class Row:
    """What there is to say about one parameter; `state` is one of the five words above."""

    call: Call
    parameter: Parameter
    state: str
    missing_values: tuple[str, ...] = ()  # Stripe's words that we refuse
    own_values: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.call.name} {self.parameter.name}"


@cache
def evidence() -> dict[str, dict[str, str]]:
    """Call -> parameter -> the test that sent it with success."""
    found: dict[str, dict[str, str]] = json.loads(EXERCISED.read_text())
    return found


def waiting() -> list[str]:
    """What no test sends yet: calls, and calls with a parameter."""
    return NOT_YET_EXERCISED.read_text().split("\n")[:-1]


def params_class(call: Call) -> type[Params] | None:
    """The parameters that our view takes for a call; None if there is no such view."""
    try:
        view = resolve(call.address).func
    except Resolver404:
        return None
    action = getattr(view, "actions", {}).get(call.method.lower())
    if action is None:
        return None
    found: type[Params] = view.cls.params_of(action)
    return found


@cache
def declared(call: Call) -> dict[str, tuple[str, ...] | None]:
    """What our view takes, by name as in `Parameter`: the words it may be, or None if the list is not closed."""
    taken = params_class(call)
    return dict(_declared(params_schema(taken), "")) if taken else {}


def known_names(call: Call) -> dict[str, re.Pattern[str]]:
    """The names of what a call takes, theirs and ours, and what each looks like in a request."""
    theirs = {one.name: one for parameter in parameters_of(call) for one in parameter}
    single = {name for name, one in theirs.items() if one.plain and one.inner}
    return {name: _pattern(name, single=name in single) for name in dict.fromkeys([*theirs, *declared(call)])}


def extensions(call: Call) -> list[str]:
    """What ours takes and Stripe's does not; of a hash only the hash."""
    theirs = {one.name for parameter in parameters_of(call) for one in parameter}
    found = [name for name in declared(call) if name not in theirs]
    return [name for name in found if not any(name.startswith((f"{one}[", f"{one}[]")) for one in found)]


def survey(key: str, call: Call) -> list[Row]:
    """Ask about each parameter of a call that we have; what is within a refused hash is refused with it."""
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {key}"})

    def rows(parameters: tuple[Parameter, ...]) -> Iterator[Row]:
        for parameter in parameters:
            row = row_of(call, parameter, _answer(client, call, parameter))
            has_parts = row.state not in (REFUSED, IGNORED) and parameter.inner
            if not has_parts or parameter.plain:
                yield row
            if has_parts:
                yield from rows(parameter.inner)

    return list(rows(parameters_of(call)))


def row_of(call: Call, parameter: Parameter, error: dict[str, Any]) -> Row:
    param = error.get("param")
    if error.get("code") == "parameter_unknown" and param == parameter.sent:
        return Row(call, parameter, REFUSED)
    if parameter.name not in declared(call):
        no_hash = bool(param) and parameter.sent.startswith(f"{param}[")  # what it is in is refused as a whole
        return Row(call, parameter, REFUSED if no_hash else IGNORED)
    words = declared(call)[parameter.name]
    missing = () if words is None else tuple(word for word in parameter.values if word not in words)
    own = tuple(word for word in words or () if parameter.values and word and word not in parameter.values)
    return Row(call, parameter, _taken(call, parameter.name), missing, own)


def _taken(call: Call, name: str) -> str:
    if difference(call.name, name):
        return DIFFERENT
    return WORKS if name in evidence().get(call.name, ()) else UNTRIED


def difference(call: str, name: str) -> str | None:
    """How ours differs in a parameter of a call, if it does."""
    for (calls, parameter), why in DIFFERENCES.items():
        if parameter == name and fnmatchcase(call, calls):
            return why
    return None


def call_state(call: Call) -> str:
    """WORKS or UNTRIED, for the call as a whole."""
    return WORKS if call.name in evidence() else UNTRIED


def untried(surveys: Mapping[str, list[Row]]) -> list[str]:
    """What we take and no test has sent: calls, and calls with a parameter of Stripe's or ours."""
    found = [call.name for call in CALLS if call.name in surveys and call_state(call) == UNTRIED]
    for call in (call for call in CALLS if call.name in surveys):
        sent = evidence().get(call.name, {})
        names = [row.parameter.name for row in surveys[call.name] if row.state != REFUSED] + extensions(call)
        found += [f"{call.name} {name}" for name in names if name not in sent]
    return sorted(found)


def _answer(client: Client, call: Call, parameter: Parameter) -> dict[str, Any]:
    """The error of a request with nothing but this parameter; empty if it went well."""
    value = parameter.values[0] if parameter.values else "1"
    query = urlencode({parameter.sent: value})
    if call.path.startswith("/v2/") and call.method == "POST":
        answer = client.post(call.address, _tree(parameter.sent, value), content_type="application/json")
    elif call.method == "POST":
        answer = client.post(call.address, query, content_type="application/x-www-form-urlencoded")
    else:
        answer = client.generic(call.method, call.address, QUERY_STRING=query)
    assert answer.status_code < 500, (call, parameter, answer.content)
    found: dict[str, Any] = answer.json().get("error", {})
    return found


def _tree(name: str, value: Any) -> Any:
    for part in reversed(re.findall(r"[^\[\]]+", name)):
        value = [value] if part == "0" else {part: value}
    return value


def _declared(schema: dict[str, Any], outer: str) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """The names in a JSON Schema of parameters, with the words that they are limited to."""
    for option in schema.get("anyOf", [schema]):
        for name, inner in option.get("properties", {}).items():
            full = f"{outer}[{name}]" if outer else name
            yield full, _words(inner)
            yield from _declared(inner, full)
        if isinstance(option.get("items"), dict):
            yield from _declared(option["items"], f"{outer}[]")
        if isinstance(option.get("additionalProperties"), dict):
            yield from _declared(option["additionalProperties"], f"{outer}[*]")


def _words(schema: dict[str, Any]) -> tuple[str, ...] | None:
    options = [_within_list(option) for option in _within_list(schema).get("anyOf", [_within_list(schema)])]
    if not all("enum" in option for option in options):
        return None
    return tuple(str(word) for option in options for word in option["enum"])


def _within_list(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema.get("items", schema)
    return found


def _pattern(name: str, *, single: bool) -> re.Pattern[str]:
    """How a name looks in a request; unless it is of a single value, names within it count for it too."""
    pieces = re.split(r"(\[\]|\[\*\])", name)
    shapes = {"[]": r"\[\d*\]", "[*]": r"\[[^\]]*\]"}
    return re.compile(
        "".join(shapes.get(piece, re.escape(piece)) for piece in pieces) + ("$" if single else r"(\[.*)?$")
    )
