"""Whether a JSON answer is what the official client's own type annotations say it is.

The annotations are the generated ones of the installed SDK. An answer must have every field that is not Optional;
a field that it has must be of the type, nested objects and list elements included, and must be known to the SDK.
"""

import ast
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import import_module
from types import ModuleType, NoneType, SimpleNamespace
from typing import Any

from stripe import ListObject, StripeObject
from stripe._object_classes import get_object_class
from stripe._stripe_object import UntypedStripeObject

# What we answer beyond Stripe's fields.
OURS = {
    "customer": {"external_id", "ingest_aliases", "invoice_grace_seconds", "late_usage"},
    "price": {"late_usage"},
    "billing.meter": {"dimension_payload_keys", "filters"},
    "billing.meter_event_summary": {"dimensions"},
    "billing.credit_balance_summary.balances": {"live_balance"},
    "billing.credit_balance_transaction": {"customer", "reason"},
    "billing.credit_grant": {"recurring_credit_grant", "rolled_over_from"},
    "billing.alert": {
        "channels",
        "created",
        "credit_balance_threshold",
        "emails",
        "invoice_total_threshold",
        "no_usage",
        "snoozed_until",
        "spend_threshold",
        "usage_growth",
    },
    "billing.alert_triggered": {
        "group",
        "id",
        "period_end",
        "period_start",
        "test",
        "threshold",
        "value_decimal",
        "why",
    },
}
PLAIN = {str: str, int: int, bool: bool, float: (int, float)}


def problems(answer: Any) -> list[str]:
    """What is wrong with an answer; its class is the SDK's for the value of `object`."""
    kind = answer["object"]
    return list(_object(answer, get_object_class("V2" if kind.startswith("v2.") else "V1", kind), kind))


def _object(value: Any, cls: type, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not an object"
        return
    hints = _hints(cls)
    kind = value.get("object") or re.sub(r"\[\d+\]", "", path)
    for name in value.keys() - hints.keys() - OURS.get(str(kind), set()):
        yield f"{path}.{name}: the SDK does not know it"
    for name, hint in hints.items():
        if name in value:
            yield from _value(value[name], hint, f"{path}.{name}")
        elif NoneType not in typing.get_args(hint):
            yield f"{path}.{name}: missing"


def _value(value: Any, hint: Any, path: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return
    if origin is typing.Union:
        yield from _union(value, arguments, path)
    elif origin is typing.Literal:
        if value not in arguments or type(value) is not type(arguments[0]):
            yield f"{path}: {value!r} is none of {arguments}"
    elif origin is list:
        yield from _elements(value, arguments[0], path)
    elif origin in (dict, UntypedStripeObject):
        yield from _mapping(value, arguments[-1], path)
    elif origin is ListObject:
        yield from _list_object(value, arguments[0], path)
    elif hint is Decimal:
        yield from _decimal(value, path)
    elif isinstance(hint, type) and issubclass(hint, StripeObject):
        yield from _object(value, hint, path)
    elif not isinstance(value, PLAIN[hint]) or (isinstance(value, bool) and hint is not bool):
        yield f"{path}: {value!r} is not {hint.__name__}"


def _union(value: Any, arms: tuple[Any, ...], path: str) -> Iterator[str]:
    """Right if it is right for one arm; a closed list of words beside `str` is taken at its word."""
    if value is None:
        if NoneType not in arms:
            yield f"{path}: null"
        return
    if any(typing.get_origin(arm) is typing.Literal for arm in arms):
        arms = tuple(arm for arm in arms if arm is not str)
    found = [list(_value(value, arm, path)) for arm in arms if arm is not NoneType]
    if all(found):
        yield from min(found, key=len)


def _elements(value: Any, hint: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: {value!r} is not a list"
        return
    for number, element in enumerate(value):
        yield from _value(element, hint, f"{path}[{number}]")


def _mapping(value: Any, hint: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not an object"
        return
    for name, element in value.items():
        yield from _value(element, hint, f"{path}.{name}")


def _list_object(value: Any, hint: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("object") != "list":
        yield f"{path}: {value!r} is not a list object"
        return
    if not isinstance(value.get("url"), str) or not isinstance(value.get("has_more"), bool):
        yield f"{path}: a list has a url and has_more"
    yield from _elements(value.get("data"), hint, f"{path}.data")


def _decimal(value: Any, path: str) -> Iterator[str]:
    """A decimal travels as a plain string."""
    try:
        plain = isinstance(value, str) and "e" not in value.lower() and Decimal(value).is_finite()
    except InvalidOperation:
        plain = False
    if not plain:
        yield f"{path}: {value!r} is not a decimal string"


@cache
def _hints(cls: type) -> dict[str, Any]:
    """The annotated fields of a class of the SDK, names that only type checkers import included."""
    module = sys.modules[cls.__module__]
    own = SimpleNamespace(__annotations__=vars(cls).get("__annotations__", {}))
    found = typing.get_type_hints(own, globalns=vars(module) | _imported_for_types(module))
    return {name: hint for name, hint in found.items() if typing.get_origin(hint) is not typing.ClassVar}


@cache
def _imported_for_types(module: ModuleType) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.body:
                if isinstance(statement, ast.ImportFrom) and not statement.module.startswith("stripe.params"):
                    source = import_module(statement.module)
                    names |= {name.asname or name.name: getattr(source, name.name) for name in statement.names}
    return names
