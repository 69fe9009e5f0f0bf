"""The registry of what the API serves: for each value of `object` its rows, shape and references."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, QuerySet

from api.objects import KEPT, Object
from api.search_fields import Field
from core.errors import NotFound

MAX_ID_LENGTH = 255


def _all(queryset: QuerySet[Any]) -> QuerySet[Any]:
    return queryset


@dataclass(frozen=True)
class Resource:
    """One kind of object.

    name: the value of `object`. kind: the word in "No such {kind}: 'x'". path: where its list lives.
    expandable: field that is an id (or list of ids) until expanded -> name of the resource it becomes.
    nested: field that is already an object, a list of objects or an `InlineList` -> name of their resource.
    included: field that is absent unless expanded -> function from the objects' ids to each one's value. The
    names in these three may be dotted, to reach into a plain hash:
    `parent.subscription_details.subscription`.
    related: relations that the serializer reads. visible: the rows that callers may see. searchable: what a search may
    ask about, by its name on the wire; with none there is no search.
    """

    name: str
    kind: str
    path: str
    model: type[Model]
    serializer: type[Object]
    expandable: Mapping[str, str] = field(default_factory=dict)
    nested: Mapping[str, str] = field(default_factory=dict)
    included: Mapping[str, Callable[[Sequence[str]], Mapping[str, Any]]] = field(default_factory=dict)
    related: tuple[str, ...] = ()
    visible: Callable[[Any], QuerySet[Any]] = _all  # takes a queryset of the model's own class
    searchable: Mapping[str, Field] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The word for it in permissions: `meters` for /v1/billing/meters."""
        return self.path.rpartition("/")[2]

    def rows(self) -> QuerySet[Any]:
        """The rows callers may see, with what the serializer reads of them."""
        queryset = self.visible(self.model._default_manager.all())
        single = [name for name in self.related if _is_single(self.model, name)]
        many = [name for name in self.related if name not in single]
        if single:
            queryset = queryset.select_related(*single)
        return queryset.prefetch_related(*many) if many else queryset


_resources: dict[str, Resource] = {}


def register(resource: Resource) -> Resource:
    """Enter `resource`; called once for each, when its app's `resources.py` or `views.py` is imported."""
    assert _resources.get(resource.name, resource) == resource, f"{resource.name} is registered twice"
    _resources[resource.name] = resource
    return resource


Read = Callable[[Sequence[str]], Mapping[str, Any]]
_filled: dict[str, dict[str, Read]] = {}


def fill(name: str, field: str, read: Read) -> None:
    """Let an upper app say what `field` of the objects named `name` holds: `read` gives each one's value by its id.

    It is called once for all objects that are rendered together; who is not in its answer has null.
    """
    _filled.setdefault(name, {})[field] = read


def get(name: str) -> Resource:
    return _resources[name]


def find(name: str) -> Resource | None:
    return _resources.get(name)


def registered() -> list[Resource]:
    """All entries, by name."""
    return [_resources[name] for name in sorted(_resources)]


def retrieve(resource: Resource, id: str) -> Any:
    """The row `id` that an address names.

    Raises: NotFound.
    """
    return retrieve_among(resource, resource.rows(), id)


def retrieve_among(resource: Resource, rows: QuerySet[Any], id: str) -> Any:
    """The same among some of its `rows`.

    Raises: NotFound.
    """
    row = _first(rows, id)
    if row is None:
        raise NotFound(resource.kind, id, param="id")
    return row


def first(resource: Resource, id: str) -> Any:
    """The row `id`, or None."""
    return _first(resource.rows(), id)


def _first(rows: QuerySet[Any], id: str) -> Any:
    readable = len(id) <= MAX_ID_LENGTH and "\x00" not in id
    return rows.filter(pk=id).first() if readable else None


def render(resource: Resource, rows: Sequence[Any], *, shared: bool = False) -> list[dict[str, Any]]:
    """The wire objects of `rows`, nothing expanded. `shared`: what several of them hold may be the same object, which
    the caller then leaves as it is."""
    shape = _shape(resource.serializer, {KEPT: {}} if shared else {})
    shown = [shape.to_representation(row) for row in rows]
    for field_name, read in _filled.get(resource.name, {}).items():
        values = read([one["id"] for one in shown]) if shown else {}
        for one in shown:
            one[field_name] = values.get(one["id"])
    return shown


class _Shapes(threading.local):
    def __init__(self) -> None:
        self.of: dict[type[Object], Object] = {}


_shapes = _Shapes()


def _shape(serializer: type[Object], context: dict[str, Any]) -> Object:
    """One for all objects of a kind that a thread shows, as to make it takes longer than to show one; what it has
    learned of those before (its context) it forgets."""
    shape = _shapes.of.get(serializer)
    if shape is None:
        shape = _shapes.of[serializer] = serializer()
    shape._context = context
    return shape


def deleted(resource: Resource, id: str) -> dict[str, Any]:
    """What is left of an object after its deletion."""
    return {"id": id, "object": resource.name, "deleted": True}


def _is_single(model: type[Model], path: str) -> bool:
    """Whether each step of `path` leads to at most one row, so that a join can bring it."""
    for name in path.split("__"):
        try:
            step = model._meta.get_field(name)
        except FieldDoesNotExist:
            return False
        if not (step.many_to_one or step.one_to_one) or step.related_model is None:
            return False
        model = step.related_model  # type: ignore[assignment]
    return True
