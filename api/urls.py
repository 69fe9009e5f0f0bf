"""How addresses are laid out: collection, object, actions on an object. Each app lists its own."""

from collections.abc import Mapping
from typing import Any

from django.urls import URLPattern, URLResolver, path, re_path

from api.docs import DocsView, openapi_document
from api.views import ApiView, unknown_url

COLLECTION = {"get": "list", "post": "create"}
ITEM = {"get": "retrieve", "post": "update", "delete": "destroy"}


def resource_routes(
    view: type[ApiView],
    path_: str,
    *,
    actions: Mapping[str, str] | None = None,
    only: tuple[str, ...] | None = None,
) -> list[URLPattern]:
    """Routes below /v1 for what `view` defines: the collection, its search, the object, and POST {id}/{action}.

    actions: last part of the address -> method of the view. only: names of the methods to route, if not all.
    """
    offers = {
        name for name in (*COLLECTION.values(), *ITEM.values()) if hasattr(view, name) and (not only or name in only)
    }
    routes = _search_routes(view, path_) if "retrieve" in offers else []
    for pattern, methods in ((f"v1/{path_}", COLLECTION), (f"v1/{path_}/<str:id>", ITEM)):
        wanted: dict[str, Any] = {method: name for method, name in methods.items() if name in offers}
        if wanted:
            routes.append(path(pattern, view.as_view(wanted)))
    for last, name in (actions or {}).items():
        routes.append(path(f"v1/{path_}/<str:id>/{last}", view.as_view({"post": name})))
    return routes


def _search_routes(view: type[ApiView], path_: str) -> list[URLPattern]:
    """The search, or a refusal: `search` would otherwise be taken for the id of an object."""
    searchable = view.resource is not None and view.resource.searchable
    return [path(f"v1/{path_}/search", view.as_view({"get": "search"}) if searchable else unknown_url)]


def route(pattern: str, view: type[ApiView], **methods: str) -> URLPattern:
    """One address and what each method does: `route("v1/invoices/<str:id>/lines", LinesView, get="list")`."""
    return path(pattern, view.as_view(dict(methods)))


# The description of all this, for programs and for people; no key is needed to read it.
documentation_urls: list[URLPattern | URLResolver] = [
    path("openapi.json", openapi_document, name="openapi"),
    path("docs/", DocsView.as_view(), name="docs"),
]

# Last of all: what nothing else has answered.
catch_all_urls: list[URLPattern | URLResolver] = [re_path(r"^v[12](?:/.*)?$", unknown_url)]
