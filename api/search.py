"""How a search is cut into pages: newest first, each page after the place that a signed token keeps."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing
from django.db.models import Q, QuerySet

from api.lists import NEWEST_FIRST
from api.resources import Resource
from api.search_fields import condition
from api.search_query import parse_query
from core.errors import InvalidRequest


class InvalidPage(InvalidRequest):
    """`page` is none of ours, or one of another search."""


@dataclass(frozen=True)
class Found:
    rows: list[Any]
    next_page: str | None  # null on the last page


def matching(resource: Resource, query: str) -> QuerySet[Any]:
    """The rows that match `query`, those of test clocks too: a search asks for certain objects, not for all.

    Raises: InvalidQuery, NotSupported.
    """
    return resource.rows().filter(condition(resource.searchable, parse_query(query))).order_by(*NEWEST_FIRST)


def page_of_search(resource: Resource, rows: QuerySet[Any], query: str, *, limit: int, page: str | None) -> Found:
    """Up to `limit` of `rows` after the place that `page` names.

    The place is a time and an id: rows that come or go meanwhile move nobody to another page.

    Raises: InvalidPage.
    """
    if page is not None:
        at, id = _place(resource, query, page)
        rows = rows.filter(Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(pk__lt=id)))
    found = list(rows[: limit + 1])
    shown = found[:limit]
    return Found(shown, _token(resource, query, shown[-1]) if len(found) > limit else None)


def _token(resource: Resource, query: str, last: Any) -> str:
    token: str = _signer().sign_object([_search(resource, query), last.created_at.isoformat(), last.pk])
    return token


def _place(resource: Resource, query: str, token: str) -> tuple[datetime, str]:
    try:
        search, at, id = _signer().unsign_object(token)
    except signing.BadSignature:
        raise InvalidPage("Invalid page: it must be the next_page of an earlier answer.", param="page") from None
    if search != _search(resource, query):
        raise InvalidPage("This page belongs to another search: repeat the query it came from.", param="page")
    return datetime.fromisoformat(at), id


def _search(resource: Resource, query: str) -> str:
    """A short name of one search."""
    return hashlib.sha256(f"{resource.name} {query}".encode()).hexdigest()[:16]


def _signer() -> signing.Signer:
    return signing.Signer(salt="api.search")
