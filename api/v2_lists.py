"""How a /v2 list is cut into pages: the answer holds the addresses of the pages next to it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from rest_framework.request import Request

from api import params, resources
from api.lists import NEWEST_FIRST, Page, page, v2_envelope
from api.params import Params
from api.resources import Resource
from core.errors import InvalidRequest

AFTER, BEFORE = "after_", "before_"  # how a page's token begins; the rest is the id of a row


class InvalidPage(InvalidRequest):
    """The token is not one that a list of ours has given."""


class V2ListParams(Params):
    """What every /v2 list takes; `page` comes from the address of a neighbouring page."""

    limit = params.Integer(minimum=1, maximum=100, default=20)
    page = params.String()


def v2_list(request: Request, resource: Resource, rows: QuerySet[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The page of `rows`, newest first, that `given` (limit, page) asks for.

    Raises: InvalidPage, ResourceMissing.
    """
    token = given.get("page", "")
    cursor = _cursor_of(token) if token else {}
    found = page(rows, {"limit": given["limit"]} | cursor, kind=resource.kind, order=NEWEST_FIRST)
    before, after = _neighbours(found, token)
    return v2_envelope(
        resources.render(resource, found.rows),
        next_page_url=after and _address(request, after),
        previous_page_url=before and _address(request, before),
    )


def _cursor_of(token: str) -> dict[str, str]:
    for prefix, name in ((AFTER, "starting_after"), (BEFORE, "ending_before")):
        if token.startswith(prefix):
            return {name: token.removeprefix(prefix)}
    raise InvalidPage("Invalid page: use the next_page_url or previous_page_url of a list.", param="page")


def _neighbours(found: Page, token: str) -> tuple[str | None, str | None]:
    """The tokens of the pages before and after; a page reached from one side has that side as a neighbour."""
    backwards = token.startswith(BEFORE)
    has_before = found.has_more if backwards else bool(token)
    has_after = backwards or found.has_more
    if not found.rows:
        return None, None
    return (
        BEFORE + found.rows[0].pk if has_before else None,
        AFTER + found.rows[-1].pk if has_after else None,
    )


def _address(request: Request, token: str) -> str:
    """The same address with another page."""
    query = [(name, value) for name, values in request.GET.lists() for value in values if name != "page"]
    return f"{request.path}?{urlencode([*query, ('page', token)])}"
