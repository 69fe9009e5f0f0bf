"""What the official client can call: the methods of its services and each parameter that their types offer.

Read from the installed SDK, so a new version of it brings its new methods and parameters by itself. An element of a
list is written `[]` and any key of a hash `[*]`: `items[][price_data][recurring][interval]`.
"""

import ast
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from stripe._request_options import RequestOptions
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import is_typeddict  # the SDK's classes are not those of `typing` before Python 3.13

MAX_DEPTH = 10  # of names within names; the SDK's deepest has seven


@dataclass(frozen=True)
class Call:
    """`name` is how a caller writes it (`subscriptions.create`); `path` has its ids in braces."""

    name: str
    method: str
    path: str
    params: type | None

    @property
    def address(self) -> str:
        """The path with an id that nothing has."""
        return re.sub(r"{[^}]*}", "x", self.path)

    def serves(self, method: str, path: str) -> bool:
        return method == self.method and re.fullmatch(re.sub(r"{[^}]*}", "[^/]+", self.path), path) is not None


@dataclass(frozen=True)
class Parameter:
    """`values` is the closed list of words, if there is one; `inner` is not empty for a hash or a list of hashes.

    plain: it may be a single value as well as a hash (`created`).
    """

    name: str
    values: tuple[str, ...]
    inner: tuple["Parameter", ...]
    plain: bool = False

    @property
    def sent(self) -> str:
        """The name as it is written in a request."""
        return self.name.replace("[]", "[0]").replace("[*]", "[usd]")

    def __iter__(self) -> Iterator["Parameter"]:
        """The parameter, and those within it."""
        yield self
        for one in self.inner:
            yield from one


def calls_of(service: str) -> list[Call]:
    """The calls of a service (`billing.meters`) and of the services below it, in the order of the SDK."""
    *above, last = service.split(".")
    kind = import_service(tuple(above), last)
    found = [_call(service, name, function) for name, function in vars(kind).items() if _is_call(name, function)]
    below = getattr(import_module(kind.__module__), "_subservices", {})
    return found + [call for name in below for call in calls_of(f"{service}.{name}")]


@cache
def import_service(above: tuple[str, ...], name: str) -> type:
    root = ("stripe._v1_services", "V1Services")
    if above[:1] == ("v2",):
        root, above = ("stripe._v2_services", "V2Services"), above[1:]
    module, kind = root
    for step in (*above, name):
        module, kind = import_module(module)._subservices[step]
    found: type = getattr(import_module(module), kind)
    return found


def parameters_of(call: Call) -> tuple[Parameter, ...]:
    if call.params is None:
        return ()
    options = {"expand", *RequestOptions.__annotations__}
    return tuple(one for one in _fields(call.params, "", 1) if one.name not in options)


def _is_call(name: str, function: Any) -> bool:
    return inspect.isfunction(function) and not name.startswith("_") and not name.endswith("_async")


def _call(service: str, name: str, function: Any) -> Call:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    request = next(node for node in ast.walk(tree) if isinstance(node, ast.Call) and _asks(node))
    method, address = request.args[:2]
    path = address if isinstance(address, ast.Constant) else address.func.value  # type: ignore[attr-defined]
    return Call(f"{service}.{name}", method.value.upper(), path.value, _params_of(function))  # type: ignore[attr-defined]


def _asks(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr.startswith("_request")


def _params_of(function: Any) -> type | None:
    """The class of `params`, whose module only type checkers import."""
    annotation = inspect.signature(function).parameters.get("params")
    name = re.search(r"\w+Params\b", str(annotation.annotation)) if annotation else None
    if name is None:
        return None
    for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(function)))):  # type: ignore[arg-type]
        if isinstance(node, ast.ImportFrom) and any(one.name == name[0] for one in node.names):
            found: type = getattr(import_module(str(node.module)), name[0])
            return found
    raise AssertionError(f"{function} has parameters of an unknown class")


def _fields(params: type, outer: str, depth: int) -> Iterator[Parameter]:
    assert depth <= MAX_DEPTH, f"{outer} is nested too deep"
    for name, hint in _hints(params).items():
        full = f"{outer}[{name}]" if outer else name
        inner = [field for more, kind in _hashes(hint) for field in _fields(kind, full + more, depth + 1)]
        merged = {field.name: field for field in reversed(inner)}
        words, within = tuple(dict.fromkeys(_words(hint))), tuple(merged[key] for key in reversed(merged))
        yield Parameter(full, words, within, plain=bool({int, str} & {*typing.get_args(hint)}))


@cache
def _hints(params: type) -> dict[str, Any]:
    return typing.get_type_hints(params, localns={"StripeContext": object, "Mapping": Mapping})


def _hashes(hint: Any) -> Iterator[tuple[str, type]]:
    """The hashes that a value may be: (how the names of their fields go on, class)."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if is_typeddict(hint):
        yield "", hint
    elif origin is list:
        yield from ((f"[]{more}", kind) for more, kind in _hashes(parts[0]))
    elif origin is not None and origin is not typing.Literal:
        step = "[*]" if origin in (dict, UntypedStripeObject) else ""
        yield from ((f"{step}{more}", kind) for part in parts for more, kind in _hashes(part))


def _words(hint: Any) -> Iterator[str]:
    if typing.get_origin(hint) is typing.Literal:
        yield from map(str, typing.get_args(hint))
    else:
        for part in typing.get_args(hint):
            yield from _words(part)
