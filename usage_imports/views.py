"""Imports over HTTP: announced and sent in chunks, or sent as one body."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api import files, resources
from api.bodies import announced_length, media_type
from api.callers import Caller
from api.files import FileView
from core import clock
from usage_imports import uploads
from usage_imports.error_file import download
from usage_imports.formats import CONTENT_TYPES
from usage_imports.models import UsageImport
from usage_imports.resources import USAGE_IMPORT
from usage_imports.serializers import AppendContent, CreateImport, ListImports
from usage_imports.uploads import FileSpec


class UsageImportView(FileView):
    resource = USAGE_IMPORT
    params = {"create": CreateImport, "content": AppendContent, "list": ListImports}
    raw_media = {"create": tuple(CONTENT_TYPES), "content": (files.ANY,)}
    files = {"errors": "text/csv"}

    def create(self, request: Request) -> Response:
        """Announce a file, whose content then follows; or send it at once, as the body."""
        given = self.read()
        if self.is_raw:
            return self.answer(self._receive(request, given))
        spec = FileSpec(**{"file_name": ""} | given)
        return self.answer(uploads.begin(spec, at=clock.now(), api_key=key_of(request)))

    def content(self, request: Request, id: str) -> Response:
        """Add the body to the file; `offset` is how much of it has been sent before."""
        data = read_chunk(request._request)
        return self.answer(uploads.append(id, offset=self.read()["offset"], data=data, at=clock.now()))

    def complete(self, request: Request, id: str) -> Response:
        """Say that the file is whole, where its size was not announced."""
        return self.answer(uploads.complete(id, at=clock.now()))

    def cancel(self, request: Request, id: str) -> Response:
        """Go no further; events that were stored stay."""
        return self.answer(uploads.cancel(id, at=clock.now()))

    def errors(self, request: Request, id: str) -> StreamingHttpResponse:
        """The rows that were refused, as a CSV file."""
        return download(resources.retrieve(USAGE_IMPORT, id))

    def filter(self, queryset: QuerySet[UsageImport], given: Mapping[str, Any]) -> QuerySet[UsageImport]:
        found = super().filter(queryset, given)
        return found.filter(status=given["status"]) if "status" in given else found

    def _receive(self, request: Request, given: Mapping[str, Any]) -> UsageImport:
        """The body, each chunk acknowledged by itself; called off where it ends early, as nobody knows its id."""
        given = {"file_name": "upload", "format": CONTENT_TYPES[media_type(request)]} | dict(given)
        size = announced_length(request._request)
        uploads.check_size(size)
        begun = uploads.begin(FileSpec(**given | {"size": size}), at=clock.now(), api_key=key_of(request))
        try:
            offset = 0
            for chunk in files.pieces(request._request, uploads.MAX_CHUNK):
                uploads.append(begun.pk, offset=offset, data=chunk, at=clock.now())
                offset += len(chunk)
        except Exception:
            uploads.cancel(begun.pk, at=clock.now())
            raise
        return uploads.complete(begun.pk, at=clock.now())


def key_of(request: Request) -> str:
    """The id of the caller's key."""
    assert isinstance(request.auth, Caller)
    return request.auth.key_id


def read_chunk(request: Any) -> bytes:
    """The body of a request, which is one chunk. Raises ChunkRefused before it reads what is too large."""
    uploads.check_chunk(announced_length(request))
    return b"".join(files.pieces(request, uploads.MAX_CHUNK))
