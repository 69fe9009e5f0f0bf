"""Which bodies the API reads: forms under /v1, JSON under /v2, nothing else."""

import json
from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from api.echo import echo
from api.errors import RequestTooLarge
from api.forms import MAX_BYTES, parse_form
from core.errors import InvalidRequest

MAX_JSON_DEPTH = 10


class IncompleteBody(InvalidRequest):
    """Less arrived than the caller meant to send."""


class MalformedJSON(InvalidRequest):
    """The body is not a JSON object."""


def read_whole(request: HttpRequest, *, longest: int = MAX_BYTES) -> None:
    """Read the body, which the request then keeps: before any transaction begins, and all that was announced.

    A form cut short is a form too, with other values, so the length has to be right. What is announced to be longer
    than `longest` bytes is refused unread.

    Raises: IncompleteBody, RequestTooLarge.
    """
    announced = request.META.get("CONTENT_LENGTH") or ""
    if not announced and request.META.get("HTTP_TRANSFER_ENCODING"):
        raise IncompleteBody("Invalid request: a body needs a Content-Length header.")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > longest):
        raise RequestTooLarge(f"The request is too large: a body may take at most {longest} bytes.")
    if announced.isdecimal() and len(request.body) != int(announced):
        raise IncompleteBody("The request body ended before it was complete.")


class BracketFormParser(BaseParser):
    """`application/x-www-form-urlencoded` with bracketed names."""

    media_type = "application/x-www-form-urlencoded"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return parse_form(stream.read(MAX_BYTES + 1))


class JSONObjectParser(BaseParser):
    """`application/json` whose outermost value is an object and whose numbers are all whole."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return parse_json(stream.read())


def parse_json(raw: bytes) -> dict[str, Any]:
    """The object that `raw` spells, in the one way in which it can be read: no name twice, no NaN, no fractions.

    Its length is the view's to limit (`ApiView.max_body`).

    Raises: MalformedJSON.
    """
    if not raw.strip():
        return {}
    try:
        tree = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise MalformedJSON("Invalid JSON: the request body could not be parsed.") from None
    if not isinstance(tree, dict):
        raise MalformedJSON("Invalid JSON: the request body must be an object.")
    _check(tree, MAX_JSON_DEPTH)
    # orjson takes the last of two equal names; what it has accepted is read once more to find them.
    json.loads(raw, object_pairs_hook=_named_once)
    return tree


def _named_once(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise MalformedJSON(f"Invalid JSON: the name {echo(name)} is there more than once.")
        seen.add(name)


def _check(node: Any, depth: int) -> None:
    """Refuse what no parameter can be: NUL in a text, a float, and nesting beyond `depth`."""
    if isinstance(node, float):
        raise MalformedJSON("Invalid number: a number that is not a 64-bit integer must be sent as a string.")
    if isinstance(node, str):
        if "\x00" in node:
            raise MalformedJSON("Invalid character: parameters may not contain NUL.")
    elif isinstance(node, dict | list):
        if depth == 0:
            raise MalformedJSON(f"Invalid JSON: nested too deeply (at most {MAX_JSON_DEPTH} levels).")
        for name in node if isinstance(node, dict) else ():
            _check(name, depth)
        for child in node.values() if isinstance(node, dict) else node:
            _check(child, depth - 1)
