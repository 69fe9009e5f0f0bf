"""Actions that take a file as their body: they read it themselves, piece by piece, and it is never in memory whole.

Such a request is no transaction, and takes no idempotency key: the action says what may be repeated.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from api.bodies import announced_length, media_type
from api.forms import parse_form
from api.parsers import IncompleteBody
from api.views import Handler, ResourceView

ANY = "application/octet-stream"  # the action takes whatever type is announced, or none


class FileView(ResourceView):
    """`raw_media`: by action the types of content that it reads itself; its parameters are in the query then."""

    raw_media: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @property
    def is_raw(self) -> bool:
        types = self.raw_media.get(self.action, ())
        return ANY in types or media_type(self.request) in types

    def _carry_out(self, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.is_raw:
            return super()._carry_out(handler, request, *args, **kwargs)
        self._check_parameters()
        return handler(request, *args, **kwargs)

    def _sent(self) -> dict[str, Any]:
        return parse_form(self.request.META.get("QUERY_STRING", "")) if self.is_raw else super()._sent()


def pieces(request: HttpRequest, size: int) -> Iterator[bytes]:
    """The body in pieces of `size` bytes, the last one shorter. Raises IncompleteBody, UnreadablePostError."""
    left = announced_length(request)
    while left:
        piece = _read(request, min(size, left))
        left -= len(piece)
        if len(piece) < size and left:
            raise IncompleteBody("The request body ended before it was complete.")
        yield piece


def _read(request: HttpRequest, size: int) -> bytes:
    """`size` bytes, fewer only at the end: a server may give them in any portions."""
    piece = bytearray()
    while len(piece) < size and (more := request.read(size - len(piece))):
        piece += more
    return bytes(piece)
