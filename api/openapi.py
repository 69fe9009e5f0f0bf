"""How the OpenAPI document is made: from the same `Params` and `Object` classes that serve the requests."""

import re
from collections.abc import Mapping
from typing import Any

import uritemplate
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework.fields import empty

from api import resources
from api.bodies import RawBodyView
from api.files import ANY, FileView
from api.objects import InlineList
from api.params import Array, ByCurrency, Hash, ParamField, Params
from api.resources import Resource
from api.views import ApiView, V2View

Schema = dict[str, Any]

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {
                "type": {
                    "type": "string",
                    "enum": ["api_error", "card_error", "idempotency_error", "invalid_request_error"],
                },
                "code": {"type": "string"},
                "message": {"type": "string"},
                "param": {"type": "string", "description": "In bracket notation: items[0][price]."},
            },
        }
    },
}
DELETED: Schema = {
    "type": "object",
    "required": ["id", "object", "deleted"],
    "properties": {"id": {"type": "string"}, "object": {"type": "string"}, "deleted": {"const": True}},
}
EXPAND: Schema = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Names of properties to answer with whole objects instead of ids.",
}
IDEMPOTENCY_KEY: Schema = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "maxLength": 255},
    "description": "Requests with the same key are carried out once and answered alike.",
}


class ResourceSchema(AutoSchema):
    """One operation: an action of an `ApiView`. Other views are described as drf-spectacular does it."""

    view: Any

    def get_operation_id(self) -> str:
        if not isinstance(self.view, ApiView):
            return str(super().get_operation_id())
        parts = [part for part in self.path.strip("/").split("/") if not part.startswith("{")]
        words = parts[1:] if parts[0] == "v1" else parts
        if words[-1] != self.view.action:
            words.append(self.view.action)
        return "_".join(re.sub(r"\W", "_", word) for word in words)

    def get_tags(self) -> list[str]:
        parts = [part for part in self.path.strip("/").split("/") if not part.startswith("{")]
        shared = len(parts) > 2 and parts[1] in ("billing", "billing_portal", "test_helpers", "core")
        return ["/".join(parts[1:3] if shared else parts[1:2])]

    def get_description(self) -> str:  # type: ignore[override]
        if not isinstance(self.view, ApiView):
            return str(super().get_description())
        return (getattr(self.view, self.view.action).__doc__ or "").partition("\n\n")[0].strip()

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """The value of `object` for a registered shape, else app and class, so that names do not collide."""
        kind = type(serializer)
        for resource in resources.registered():
            if resource.serializer is kind:
                return resource.name.replace(".", "_")
        return f"{kind.__module__.partition('.')[0]}_{kind.__name__}"

    def _get_parameters(self) -> list[Schema]:
        if not isinstance(self.view, ApiView):
            found: list[Schema] = super()._get_parameters()
            return found
        path = [
            {"in": "path", "name": name, "required": True, "schema": {"type": "string"}}
            for name in uritemplate.variables(self.path)
        ]
        if self.method == "POST" and ANY in self._raw_media():
            return path + [_in_query(name, schema) for name, schema in self._properties().items()]
        if self.method == "POST":
            takes_key = self.view.idempotent or isinstance(self.view, RawBodyView)
            return [*path, IDEMPOTENCY_KEY] if takes_key else path
        return path + [_in_query(name, schema) for name, schema in self._properties().items()]

    def _get_request_body(self, direction: Any = "request") -> Schema | None:
        if not isinstance(self.view, ApiView):
            body: Schema | None = super()._get_request_body(direction)
            return body
        if self.method != "POST":
            return None
        params = self._params()
        raw = {media: {"schema": {"type": "string", "format": "binary"}} for media in self._raw_media()}
        if ANY in raw:
            return {"content": raw, "required": True}
        schema = {**params_schema(params), "properties": self._properties()}
        if isinstance(self.view, V2View):
            return {"content": {JSON: {"schema": schema}}, "required": True}
        deep = {
            name: {"style": "deepObject", "explode": True}
            for name, described in schema["properties"].items()
            if _is_deep(described)
        }
        media = {"schema": schema, **({"encoding": deep} if deep else {})}
        return {"content": {FORM: media, **raw}, "required": bool(schema.get("required"))}

    def _raw_media(self) -> tuple[str, ...]:
        """The types of content that an action reads itself, with its parameters in the query."""
        return self.view.raw_media.get(self.view.action, ()) if isinstance(self.view, FileView) else ()

    def _get_response_bodies(self, direction: Any = "response") -> Schema:
        if not isinstance(self.view, ApiView):
            bodies: Schema = super()._get_response_bodies(direction)
            return bodies
        error = self._component("error", ERROR)
        answer = {JSON: {"schema": self._answer()}}
        if file := self.view.files.get(self.view.action):
            answer = {file: {"schema": {"type": "string"}}}
        return {
            "200": {"description": "", "content": answer},
            "default": {"description": "What went wrong.", "content": {JSON: {"schema": error}}},
        }

    def _params(self) -> type[Params]:
        view: ApiView = self.view
        return view.params_of(view.action)

    def _properties(self) -> dict[str, Schema]:
        own: dict[str, Schema] = params_schema(self._params())["properties"]
        return own if isinstance(self.view, V2View) else {**own, "expand": EXPAND}

    def _answer(self) -> Schema:
        view: ApiView = self.view
        if view.action in view.deleting_actions:
            return self._component("deleted", DELETED)
        shape = view.shapes.get(view.action)
        resource = view.answer_resource()
        shape = shape or (resource.serializer if resource else None)
        if shape is None:
            return {"type": "object"}
        one: Schema = self.resolve_serializer(shape, "response").ref
        if view.action not in view.list_actions:
            return one
        if view.action == "search":
            return search_schema(one)
        return v2_list_schema(one) if isinstance(view, V2View) else list_schema(one)

    def _component(self, name: str, schema: Schema) -> Schema:
        component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema=schema, object=name)
        self.registry.register_on_missing(component)
        ref: Schema = component.ref
        return ref

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Schema:
        """The shape; an id that can be expanded may be the object too, and what can be included is named."""
        described: Schema = super()._map_basic_serializer(serializer, direction)
        resource = next((one for one in resources.registered() if isinstance(serializer, one.serializer)), None)
        if resource is not None:
            self._add_expansion(described["properties"], resource)
        return described

    def _add_expansion(self, properties: dict[str, Schema], resource: Resource) -> None:
        for name, target in resource.expandable.items():
            if name in properties:
                whole = self.resolve_serializer(resources.get(target).serializer, "response").ref
                deleted = self._component("deleted", DELETED)
                properties[name] = {"anyOf": [properties[name], whole, deleted], "readOnly": True}
        for name in resource.included:
            properties.setdefault(name, {"description": "Only when expanded.", "readOnly": True})


class ParamFieldExtension(OpenApiSerializerFieldExtension):
    target_class = "api.fields.ParamField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> Schema:
        return field_schema(self.target)


class WireFieldExtension(OpenApiSerializerFieldExtension):
    target_class = "api.objects.WireField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> Schema:
        if isinstance(self.target, InlineList):
            return list_schema(auto_schema.resolve_serializer(self.target.child_class, direction).ref)
        schema: Schema = self.target.schema()
        return schema


class ApiKeyExtension(OpenApiAuthenticationExtension):
    target_class = "api.auth.ApiKeyAuthentication"
    name = ["bearer", "basic"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{"bearer": []}, {"basic": []}]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[Schema]:
        return [
            {"type": "http", "scheme": "bearer", "description": "A key, `sk_...` or restricted `rk_...`."},
            {"type": "http", "scheme": "basic", "description": "The key as user name, without a password."},
        ]


def params_schema(params: type[Params]) -> Schema:
    """The JSON Schema of what `params` accepts."""
    fields: Mapping[str, Any] = params().fields
    required = [name for name, field in fields.items() if field.required]
    return {
        "type": "object",
        "properties": {name: field_schema(field) for name, field in fields.items()},
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def field_schema(field: ParamField) -> Schema:
    """The JSON Schema of one parameter."""
    schema = field.schema()
    if isinstance(field, Hash):
        schema = _or_blank(params_schema(field.params), field)
    elif isinstance(field, ByCurrency):
        one = {"type": "object", "additionalProperties": field_schema(field.child)}
        schema = _or_blank(one, field)
    elif isinstance(field, Array):
        items = field_schema(field.child)
        schema = _or_blank({"type": "array", "items": items, "maxItems": field.max_length}, field)
    if field.help_text:
        schema["description"] = str(field.help_text)
    if field.default is not empty and not callable(field.default):
        schema["default"] = field.default
    return schema


def list_schema(element: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["object", "data", "has_more", "url"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": element},
            "has_more": {"type": "boolean"},
            "url": {"type": "string"},
            "total_count": {"type": "integer", "description": "Only when expanded."},
        },
    }


def search_schema(element: Schema) -> Schema:
    described = list_schema(element)
    own = {"object": {"const": "search_result"}, "next_page": {"type": ["string", "null"]}}
    return {
        **described,
        "required": [*described["required"], "next_page"],
        "properties": {**described["properties"], **own},
    }


def v2_list_schema(element: Schema) -> Schema:
    address = {"type": ["string", "null"]}
    return {
        "type": "object",
        "required": ["data", "next_page_url", "previous_page_url"],
        "properties": {
            "data": {"type": "array", "items": element},
            "next_page_url": address,
            "previous_page_url": address,
        },
    }


def _or_blank(schema: Schema, field: ParamField) -> Schema:
    return {"anyOf": [schema, {"type": "string", "enum": [""]}]} if field.unset else schema


def _is_deep(described: Schema) -> bool:
    """Whether a parameter is written with brackets."""
    options = described.get("anyOf", [described])
    return any(option.get("type") in ("object", "array") for option in options)


def _in_query(name: str, schema: Schema) -> Schema:
    deep = {"style": "deepObject", "explode": True} if _is_deep(schema) else {}
    return {"in": "query", "name": name, "schema": schema, **deep}
