"""Bodies that are no parameters: read as bytes, up to a limit of the view's own."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from api.echo import echo
from api.errors import RequestTooLarge, WrongContentType
from api.forms import parse_form
from api.params import Params
from api.parsers import IncompleteBody
from api.views import V2View


class RawBodyView(V2View):
    """A POST whose action reads `self.raw` by itself, and can be repeated without harm.

    There is no transaction around the action and no answer is stored: `idempotent` is False. `params` is for the
    OpenAPI document only.
    """

    idempotent = False
    most_bytes: ClassVar[int]
    content_types: ClassVar[tuple[str, ...]] = ("application/json",)

    raw: bytes
    content_type: str

    def _carry_out(
        self, handler: Callable[..., HttpResponseBase], request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        plain = request._request
        Params(data=parse_form(plain.META.get("QUERY_STRING", ""))).is_valid(raise_exception=True)
        self.content_type = media_type(plain)
        if self.content_type not in self.content_types:
            raise WrongContentType(
                f"Invalid request: the content type has to be {' or '.join(self.content_types)}; "
                f"it was {echo(self.content_type or 'none')}."
            )
        self.raw = read_bytes(plain, most=self.most_bytes)
        return handler(request, *args, **kwargs)


def read_bytes(request: HttpRequest, *, most: int) -> bytes:
    """The whole body; nothing of one that is announced to be longer than `most`.

    Raises: RequestTooLarge, IncompleteBody.
    """
    announced = announced_length(request)
    if announced > most:
        raise RequestTooLarge(f"The request is too large: its body may take at most {most} bytes.")
    raw = request.read(announced)
    if len(raw) != announced:
        raise IncompleteBody("The request body ended before it was complete.")
    return raw


def media_type(request: Request | HttpRequest) -> str:
    return (request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()


def announced_length(request: HttpRequest) -> int:
    """Bytes of the body. Raises IncompleteBody where there is no such header."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    if not announced.isdecimal():
        raise IncompleteBody("Invalid request: a body needs a Content-Length header.")
    return int(announced)
