"""Which paths a caller may expand, and how ids become objects: one query for each step of a path.

Paths are checked against the registry and not against the objects at hand, so a path is right or wrong
whether or not there is anything to expand.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from api import resources
from api.echo import echo
from api.objects import InlineList
from api.resources import Resource
from core.errors import InvalidRequest

MAX_LEVELS = 4
TOTAL_COUNT = "total_count"

Tree = dict[str, Any]  # name in the registry (may be dotted) -> Tree of what to expand below it


class CannotExpand(InvalidRequest):
    """`expand` names what is no expandable property, or goes too deep."""


class Expansion:
    """The checked `expand` of one request: what to do with an object, or with each object of a list."""

    def __init__(self, resource: Resource | None, paths: Iterable[str], *, is_list: bool = False) -> None:
        self.resource = resource
        self.tree: Tree = {}
        self.total_count = False
        self.families: set[str] = set()  # of what ids become: the caller has to be allowed to read them
        for path in paths:
            if is_list and path == TOTAL_COUNT:
                self.total_count = True
            else:
                self._add(path, is_list)

    def _add(self, path: str, is_list: bool) -> None:
        parts = path.split(".")
        if len(parts) > MAX_LEVELS:
            raise CannotExpand(
                f"You cannot expand more than {MAX_LEVELS} levels of a property. Property: {echo(path)}",
                param="expand",
            )
        if is_list:
            if parts[0] != "data":
                raise _cannot(path)
            parts = parts[1:]
            if not parts:
                return
        if self.resource is None:
            raise _cannot(path)
        tree, resource = self.tree, self.resource
        while parts:
            name, target, parts = _step(resource, parts, path)
            if name in resource.expandable:
                self.families.add(target.family)
            tree = tree.setdefault(name, {})
            resource = target

    def apply(self, objects: Sequence[dict[str, Any]]) -> None:
        """Expand `objects`, in place."""
        if self.resource is not None:
            _expand(self.resource, objects, self.tree)


def _step(resource: Resource, parts: list[str], path: str) -> tuple[str, Resource, list[str]]:
    """The longest name of `resource` with which `parts` begins, where it leads, and the parts that remain."""
    for length in range(len(parts), 0, -1):
        name, rest = ".".join(parts[:length]), parts[length:]
        if name in resource.included and not rest:
            return name, resource, rest
        if name in resource.expandable:
            return name, resources.get(resource.expandable[name]), rest
        if name in resource.nested:
            return name, resources.get(resource.nested[name]), _inside(resource, name, rest, path)
    raise _cannot(path)


def _inside(resource: Resource, name: str, rest: list[str], path: str) -> list[str]:
    """`rest` without the `data` that leads into a list."""
    if not isinstance(resource.serializer._declared_fields.get(name), InlineList):
        return rest
    if rest and rest[0] != "data":
        raise _cannot(path)
    return rest[1:]


def _cannot(path: str) -> CannotExpand:
    return CannotExpand(f"This property cannot be expanded ({echo(path)}).", param="expand")


def _expand(resource: Resource, objects: Sequence[dict[str, Any]], tree: Tree) -> None:
    for name, below in tree.items():
        if name in resource.included:
            _include(resource, objects, name)
        elif name in resource.expandable:
            _replace(resources.get(resource.expandable[name]), _holders(objects, name), below)
        elif below:
            found = [child for hash_, key in _holders(objects, name) for child in _children(hash_[key])]
            _expand(resources.get(resource.nested[name]), found, below)


def _include(resource: Resource, objects: Sequence[dict[str, Any]], name: str) -> None:
    ids = list(dict.fromkeys(found["id"] for found in objects))
    values = resource.included[name](ids) if ids else {}
    *inner, key = name.split(".")
    for found in objects:
        hash_ = found
        for step in inner:
            hash_ = hash_[step]
        hash_[key] = values.get(found["id"])


def _replace(target: Resource, holders: list[tuple[dict[str, Any], str]], below: Tree) -> None:
    """Put objects where ids of `target` are; what callers may no longer see is shown as deleted."""
    ids = {id for hash_, key in holders for id in _ids(hash_[key])}
    rows = list(target.rows().filter(pk__in=ids)) if ids else []
    found = {str(row.pk): shown for row, shown in zip(rows, resources.render(target, rows), strict=True)}
    if below:
        _expand(target, list(found.values()), below)
    for hash_, key in holders:
        value = hash_[key]
        if isinstance(value, list):
            hash_[key] = [_shown(target, entry, found) for entry in value]
        else:
            hash_[key] = _shown(target, value, found)


def _shown(target: Resource, value: Any, found: dict[str, dict[str, Any]]) -> Any:
    if not isinstance(value, str):
        return value
    return found.get(value) or resources.deleted(target, value)


def _ids(value: Any) -> list[str]:
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str)]


def _children(value: Any) -> list[dict[str, Any]]:
    """The objects in a nested field: itself, the elements of a list, or the data of a list object."""
    if isinstance(value, dict) and value.get("object") == "list":
        value = value["data"]
    return [child for child in (value if isinstance(value, list) else [value]) if isinstance(child, dict)]


def _holders(objects: Iterable[dict[str, Any]], name: str) -> list[tuple[dict[str, Any], str]]:
    """For each object the hashes, and the key in them, that the dotted `name` leads to, if it leads anywhere.

    A step may be a list of hashes, as in `phases.items.price`.
    """
    *inner, key = name.split(".")
    hashes = list(objects)
    for step in inner:
        hashes = [child for hash_ in hashes for child in _children(hash_.get(step))]
    return [(hash_, key) for hash_ in hashes if key in hash_]
