"""How a list is cut into pages: a cursor is the id of a row, and a page is what lies next to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q, QuerySet

from core.errors import ResourceMissing

NEWEST_FIRST = ("-created_at", "-id")
DEFAULT_LIMIT = 10


@dataclass(frozen=True)
class Page:
    """Rows in the list's order; `has_more` is about the direction in which the caller goes."""

    rows: list[Any]
    has_more: bool


def envelope(
    data: Sequence[Any], *, url: str, has_more: bool = False, total_count: int | None = None
) -> dict[str, Any]:
    """A v1 list; without a `url` the official client cannot ask for the next page."""
    counted = {} if total_count is None else {"total_count": total_count}
    return {"object": "list", "data": list(data), "has_more": has_more, "url": url, **counted}


def search_envelope(
    data: Sequence[Any], *, url: str, next_page: str | None, total_count: int | None = None
) -> dict[str, Any]:
    """A page of a search; `next_page` is null on the last one."""
    counted = {} if total_count is None else {"total_count": total_count}
    more = {"has_more": next_page is not None, "next_page": next_page}
    return {"object": "search_result", "data": list(data), "url": url, **more, **counted}


def v2_envelope(
    data: Sequence[Any], *, next_page_url: str | None = None, previous_page_url: str | None = None
) -> dict[str, Any]:
    """A v2 list; the addresses are paths with their query."""
    return {"data": list(data), "next_page_url": next_page_url, "previous_page_url": previous_page_url}


def page(
    queryset: QuerySet[Any],
    given: Mapping[str, Any],
    *,
    kind: str,
    order: Sequence[str] = NEWEST_FIRST,
) -> Page:
    """The page of `queryset` that `given` (limit, starting_after, ending_before) asks for.

    `order` names columns without nulls, the last of them unique. The cursor may be any row of the model, also
    one that the filters no longer select, so that paging goes on while rows change.

    Raises: ResourceMissing.
    """
    limit = given.get("limit", DEFAULT_LIMIT)
    backwards = "ending_before" in given
    param = "ending_before" if backwards else "starting_after"
    way = [_turned(name) for name in order] if backwards else list(order)
    queryset = queryset.order_by(*way)
    if param in given:
        queryset = queryset.filter(_beyond(_cursor(queryset.model, given[param], way, kind=kind, param=param)))
    rows = list(queryset[: limit + 1])
    has_more, rows = len(rows) > limit, rows[:limit]
    return Page(rows[::-1] if backwards else rows, has_more)


def page_of(rows: Sequence[Mapping[str, Any]], given: Mapping[str, Any], *, kind: str) -> Page:
    """The same for wire objects that are all at hand, in the list's order, each with an `id`.

    Raises: ResourceMissing.
    """
    limit = given.get("limit", DEFAULT_LIMIT)
    places = {row["id"]: place for place, row in enumerate(rows)}
    param = "ending_before" if "ending_before" in given else "starting_after"
    if param in given and given[param] not in places:
        raise ResourceMissing(kind, given[param], param=param)
    if "ending_before" in given:
        end = places[given["ending_before"]]
        return Page(list(rows[max(0, end - limit) : end]), end > limit)
    start = places[given["starting_after"]] + 1 if "starting_after" in given else 0
    return Page(list(rows[start : start + limit]), len(rows) > start + limit)


def _turned(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _cursor(model: type[Model], id: str, way: Sequence[str], *, kind: str, param: str) -> dict[str, Any]:
    """The cursor row's place: its value of each column of the order."""
    names = [name.lstrip("-") for name in way]
    place = model._base_manager.filter(pk=id).values(*names).first()
    if place is None:
        raise ResourceMissing(kind, id, param=param)
    return {name: place[name.lstrip("-")] for name in way}


def _beyond(place: Mapping[str, Any]) -> Q:
    """Rows after `place`; the first column's bound stands by itself too, so that an index on it serves."""
    beyond, equal = Q(), Q()
    for name, value in place.items():
        column = name.lstrip("-")
        beyond |= equal & Q(**{f"{column}__{'lt' if name.startswith('-') else 'gt'}": value})
        equal &= Q(**{column: value})
    first, value = next(iter(place.items()))
    return Q(**{f"{first.lstrip('-')}__{'lte' if first.startswith('-') else 'gte'}": value}) & beyond
