"""The course of a request: parameters are read, the work runs in one transaction, the answer is rendered."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, cast

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from api import idempotency, resources, search
from api.callers import Caller, require
from api.cause import Cause, caused_by
from api.errors import UnknownURL, plain_answer
from api.expand import Expansion
from api.forms import MAX_BYTES, MalformedForm, parse_form
from api.lists import NEWEST_FIRST, envelope, page, search_envelope
from api.objects import Object
from api.params import ListParams, Params, SearchParams
from api.parsers import BracketFormParser, JSONObjectParser, read_whole
from api.permissions import permission_for
from api.renderers import IgnoreAccept, JSONRenderer, to_json
from api.resources import Resource
from core.errors import BillingError

Handler = Callable[..., HttpResponseBase]


class ApiView(ViewSetMixin, APIView):
    """A view whose actions read `self.read()` and return a `Response`.

    A POST (under /v2 a DELETE too) is one transaction together with its idempotency key; see
    `api.idempotency`. `idempotent = False` leaves key and transaction to the action.

    A restricted key needs a permission (see `permission_of`); what it expands, it has to be allowed to read.
    """

    params: ClassVar[Mapping[str, type[Params]]] = {}  # by action; an action that is not here takes none
    list_actions: ClassVar[frozenset[str]] = frozenset({"list", "search"})  # those that answer with a list
    answers: ClassVar[Mapping[str, Resource]] = {}  # by action, where it is not the view's own resource
    resource: ClassVar[Resource | None] = None
    # For the OpenAPI document only: answers that are no registered resource, that are files (their type of content),
    # and those of a deletion.
    files: ClassVar[Mapping[str, str]] = {}
    shapes: ClassVar[Mapping[str, type[Object]]] = {}
    deleting_actions: ClassVar[frozenset[str]] = frozenset({"destroy"})
    idempotent: ClassVar[bool] = True
    secret_actions: ClassVar[frozenset[str]] = frozenset()  # whose answers tell what is told this once
    # Of permissions, where it is not the resource's; a view with neither is closed to restricted keys.
    family: ClassVar[str] = ""
    permissions: ClassVar[Mapping[str, str]] = {}  # by action, where it is not read or write of the family
    max_body: ClassVar[int] = MAX_BYTES

    parser_classes = [BracketFormParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = IgnoreAccept
    metadata_class = None
    http_method_names = ["get", "post", "delete", "head"]

    action: str
    given: dict[str, Any]
    caller: Caller
    expansion: Expansion

    def read(self) -> dict[str, Any]:
        """The checked parameters of this call: of its query string and its body together."""
        return self.given

    @classmethod
    def permission_of(cls, action: str | None, method: str) -> str | None:
        """What a restricted key needs for `action`; None where it cannot have it."""
        family = cls.family or (cls.resource.family if cls.resource else "")
        if action is None or not family:
            return None
        return cls.permissions.get(action) or permission_for(family, method)

    @property
    def permission(self) -> str | None:
        """What a restricted key needs for this call."""
        return self.permission_of(self.action, self.request.method or "")

    def answer_resource(self) -> Resource | None:
        return self.answers.get(self.action, self.resource)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.caller = cast(Caller, request.auth)
        method = (request.method or "").lower()
        if method in self.action_map:
            setattr(self, method, partial(self._carry_out, getattr(self, method)))

    def _carry_out(self, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Run `handler`; what this returns leaves after COMMIT."""
        read_whole(request._request, longest=self.max_body)
        if request.method in ("GET", "HEAD") or not self.idempotent:
            self._check_parameters()
            return handler(request, *args, **kwargs)
        plain = request._request
        key = idempotency.key_of(plain)
        with transaction.atomic():
            replayed = idempotency.begin(plain, key) if key else None
            if replayed is not None:
                return replayed
            self._check_parameters()
            with caused_by(Cause(plain.request_id, key)):  # type: ignore[attr-defined]
                answer = self._attempt(partial(handler, request, *args, **kwargs), key)
            if key:
                idempotency.store(plain, key, answer, is_secret=self.action in self.secret_actions)
        return answer

    def _attempt(self, work: Callable[[], HttpResponseBase], key: str | None) -> HttpResponse:
        """The answer of `work`, in bytes; under a /v1 key a refusal by the rules is an answer too."""
        try:
            with transaction.atomic():
                return _in_bytes(work())
        except BillingError as error:
            answer = self.handle_exception(error)
            if key is None or idempotency.is_v2(self.request) or answer.status_code in (409, 429):
                raise
            return _in_bytes(answer)

    def _check_parameters(self) -> None:
        serializer = self.params_of(self.action)(data=self._sent())
        serializer.is_valid(raise_exception=True)
        self.expansion = Expansion(
            self.answer_resource(), serializer.expand_paths, is_list=self.action in self.list_actions
        )
        for family in sorted(self.expansion.families):
            require(self.caller, permission_for(family, "get"))
        self.given = dict(serializer.validated_data)

    @classmethod
    def params_of(cls, action: str) -> type[Params]:
        """What `action` takes."""
        if action in cls.params:
            return cls.params[action]
        if action == "search":
            return SearchParams
        return ListParams if action in cls.list_actions else Params

    def _sent(self) -> dict[str, Any]:
        query = parse_form(self.request.META.get("QUERY_STRING", ""))
        body = dict(self.request.data)
        for name in query.keys() & body.keys():
            raise MalformedForm(f"Received the parameter {name} more than once.", param=name)
        return query | body


class ResourceView(ApiView):
    """The actions on one resource under /v1; `retrieve` and `list` are here, changes are the subclass's."""

    resource: ClassVar[Resource]
    order: ClassVar[tuple[str, ...]] = NEWEST_FIRST

    def retrieve(self, request: Request, id: str) -> Response:
        return self.answer(resources.retrieve(self.resource, id))

    def list(self, request: Request) -> Response:
        given = self.read()
        return self.answer_list(self.filter(self.resource.rows(), given), given)

    def search(self, request: Request) -> Response:
        """The objects that match a query."""
        given = self.read()
        rows = search.matching(self.resource, given["query"])
        found = search.page_of_search(self.resource, rows, given["query"], limit=given["limit"], page=given.get("page"))
        shown = resources.render(self.resource, found.rows)
        self.expansion.apply(shown)
        count = rows.count() if self.expansion.total_count else None
        return Response(search_envelope(shown, url=request.path, next_page=found.next_page, total_count=count))

    def filter(self, queryset: QuerySet[Any], given: Mapping[str, Any]) -> QuerySet[Any]:
        """`queryset` as the list's parameters narrow it; here only by time of creation."""
        return queryset.filter(**{f"created_at__{bound}": at for bound, at in given.get("created", {}).items()})

    def answer(self, row: Any, status: int = 200) -> Response:
        """The object of `row`, expanded as asked."""
        resource = self.answer_resource()
        assert resource is not None
        return self.answer_object(resources.render(resource, [row])[0], status)

    def answer_object(self, shown: dict[str, Any], status: int = 200) -> Response:
        """An object already rendered, expanded as asked."""
        self.expansion.apply([shown])
        return Response(shown, status=status)

    def answer_deleted(self, id: str) -> Response:
        return Response(resources.deleted(self.resource, id))

    def answer_list(self, queryset: QuerySet[Any], given: Mapping[str, Any]) -> Response:
        """The page of `queryset` that `given` asks for."""
        resource = self.answer_resource()
        assert resource is not None
        found = page(queryset, given, kind=resource.kind, order=self.order)
        count = queryset.count() if self.expansion.total_count else None
        return self.answer_objects(resources.render(resource, found.rows), has_more=found.has_more, count=count)

    def answer_objects(
        self, shown: Sequence[dict[str, Any]], *, has_more: bool = False, count: int | None = None
    ) -> Response:
        """A list of objects already rendered, expanded as asked."""
        self.expansion.apply(shown)
        return Response(envelope(shown, url=self.request.path, has_more=has_more, total_count=count))


class V2View(ApiView):
    """Actions under /v2: JSON both ways, no `expand`."""

    parser_classes = [JSONObjectParser]


@csrf_exempt
def unknown_url(request: HttpRequest, **kwargs: str) -> HttpResponse:
    """Whatever under /v1 or /v2 is no address of ours."""
    return plain_answer(UnknownURL(request.method or "", request.path))


def _in_bytes(answer: HttpResponseBase) -> HttpResponse:
    """`answer` as the bytes that leave, made while the transaction can still fail."""
    if not isinstance(answer, Response):
        assert isinstance(answer, HttpResponse)
        return answer
    body = b"" if answer.data is None else to_json(answer.data)
    headers = dict(answer.items()) | {"Content-Type": "application/json"}
    return HttpResponse(body, status=answer.status_code, headers=headers)
