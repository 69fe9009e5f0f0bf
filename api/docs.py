"""Where the OpenAPI document and its readable page are served; both are public, all files our own."""

from functools import cache

from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from django.urls import get_urlconf
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularSwaggerSplitView

from api.renderers import to_json

# Swagger UI needs neither inline scripts nor `eval`; its icons are data: images.
POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "connect-src": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
}


@cache
def document(urlconf: str | None) -> bytes:
    """The OpenAPI document of all addresses; they do not change while a process runs."""
    return to_json(SchemaGenerator(urlconf=urlconf).get_schema(request=None, public=True))


@require_safe
def openapi_document(request: HttpRequest) -> HttpResponse:
    return HttpResponse(document(get_urlconf()), content_type="application/json")


@method_decorator(csp_replace(POLICY), name="dispatch")
class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI, from the files of drf-spectacular-sidecar."""

    authentication_classes = []
    url_name = "openapi"
    template_name = "api/docs.html"
