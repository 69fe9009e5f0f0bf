"""A resource for tests: API keys as widgets, whose names may be ids of other widgets. Also the URLconf."""

import threading
from collections.abc import Sequence
from typing import Any

from django.db import connection
from rest_framework.response import Response
from rest_framework.serializers import CharField, SerializerMethodField

from api import metadata, resources
from api.keys import create_api_key, revoke_api_key
from api.lists import v2_envelope
from api.models import ApiKey
from api.objects import Const, InlineList, Livemode, Object, ObjectId, UnixTime
from api.params import Array, Hash, Integer, ListParams, MetadataParam, Params, String, TimeRange
from api.resources import Resource
from api.urls import catch_all_urls, documentation_urls, resource_routes, route
from api.views import ResourceView, V2View
from core import clock
from core.errors import InvalidRequest, ResourceMissing

entered, leave = threading.Event(), threading.Event()


class PartObject(Object):
    id = CharField()
    object = Const("part")
    owner = ObjectId(source="name")


class WidgetObject(Object):
    id = CharField()
    object = Const("widget")
    created = UnixTime(source="created_at")
    livemode = Livemode()
    name = CharField()
    owner = ObjectId(source="name")
    inner = SerializerMethodField()
    friends = SerializerMethodField()
    parts = InlineList(
        PartObject,
        source=lambda row: ApiKey.objects.filter(name=row.pk).order_by("id"),
        url=lambda row: f"/v1/widgets/{row.pk}/parts",
        limit=2,
    )

    def get_inner(self, row: ApiKey) -> dict[str, Any]:
        return {"deep": {"owner": row.name}}

    def get_friends(self, row: ApiKey) -> list[str]:
        return [row.name, row.name]


def hints(ids: Sequence[str]) -> dict[str, str]:
    return dict(ApiKey.objects.filter(pk__in=ids).values_list("pk", "hint"))


PART = resources.register(
    Resource(
        name="part",
        kind="part",
        path="/v1/parts",
        model=ApiKey,
        serializer=PartObject,
        expandable={"owner": "widget"},
    )
)
WIDGET = resources.register(
    Resource(
        name="widget",
        kind="widget",
        path="/v1/widgets",
        model=ApiKey,
        serializer=WidgetObject,
        expandable={"owner": "widget", "inner.deep.owner": "widget", "friends": "widget"},
        nested={"parts": "part"},
        included={"hint": hints, "inner.deep.hint": hints},
        visible=lambda rows: rows.filter(revoked_at=None),
    )
)


class ItemParams(Params):
    price = String(required=True)
    quantity = Integer(minimum=1)


class CreateWidget(Params):
    later = ("tax_rates",)
    name = String(max_length=100, required=True)
    items = Array(ItemParams)
    item = Hash(ItemParams)
    owner = String(unset=True)
    metadata = MetadataParam()


class ListWidgets(ListParams):
    created = TimeRange()
    name = String()


class WidgetView(ResourceView):
    resource = WIDGET
    params = {"create": CreateWidget, "list": ListWidgets, "update": CreateWidget, "refuse": CreateWidget}

    def filter(self, queryset: Any, given: Any) -> Any:
        queryset = super().filter(queryset, given)
        return queryset.filter(name=given["name"]) if "name" in given else queryset

    def create(self, request: Any) -> Response:
        """Make a widget."""
        given = self.read()
        metadata.merge({}, given.get("metadata"))
        if "owner" in given:
            raise ResourceMissing("widget", given["owner"], param="owner")
        row, _ = create_api_key(given["name"], clock.now())
        return self.answer(row)

    def destroy(self, request: Any, id: str) -> Response:
        row = resources.retrieve(WIDGET, id)
        revoke_api_key(row, clock.now())
        return self.answer_deleted(id)

    def refuse(self, request: Any, id: str) -> Response:
        create_api_key("written before the refusal", clock.now())
        raise InvalidRequest("No.", param="items[0][price]", should_retry=False)

    def crash(self, request: Any, id: str) -> Response:
        create_api_key("written before the crash", clock.now())
        raise RuntimeError("secret detail")

    def late(self, request: Any, id: str) -> Response:
        """What breaks only at COMMIT."""
        row, _ = create_api_key("late", clock.now())
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE late (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
            cursor.execute("INSERT INTO late VALUES (1), (1)")
        return self.answer(row)

    def held(self, request: Any, id: str) -> Response:
        """A lock that somebody else has."""
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1ms'")
            cursor.execute("LOCK TABLE api_apikey IN ACCESS EXCLUSIVE MODE")
        return self.answer_object({})

    def endless(self, request: Any, id: str) -> Response:
        """What the database is not done with in time."""
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '1ms'")
            cursor.execute("SELECT pg_sleep(10)")
        return self.answer_object({})

    def slow(self, request: Any, id: str) -> Response:
        row, _ = create_api_key("slow", clock.now())
        entered.set()
        assert leave.wait(20)
        return self.answer(row)


class FreeView(WidgetView):
    idempotent = False


class WidgetPartsView(ResourceView):
    resource = PART
    list_actions = frozenset({"parts"})

    def parts(self, request: Any, id: str) -> Response:
        return self.answer_list(ApiKey.objects.filter(name=id), self.read())


class V2Params(Params):
    event_name = String(required=True)


class V2WidgetView(V2View):
    params = {"create": V2Params}
    shapes = {"create": PartObject}

    def create(self, request: Any) -> Response:
        row, _ = create_api_key(self.read()["event_name"], clock.now())
        return Response({"id": row.pk})

    def refuse(self, request: Any) -> Response:
        create_api_key("refused", clock.now())
        raise InvalidRequest("No.", code="archived_meter")

    def list(self, request: Any) -> Response:
        return Response(v2_envelope([], next_page_url="/v2/widgets?page=2"))


urlpatterns = [
    *resource_routes(
        WidgetView, "widgets", actions={name: name for name in ("refuse", "crash", "late", "held", "endless", "slow")}
    ),
    *resource_routes(FreeView, "free_widgets", only=("create",)),
    route("v1/widgets/<str:id>/parts", WidgetPartsView, get="parts"),
    route("v2/widgets", V2WidgetView, post="create", get="list"),
    route("v2/refused_widgets", V2WidgetView, post="refuse"),
    *documentation_urls,
    *catch_all_urls,
]
