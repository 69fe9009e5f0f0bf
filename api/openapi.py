"""How the OpenAPI document is made: from the same `Params` and `Object` classes that serve the requests."""

from drf_spectacular.openapi import AutoSchema


class ResourceSchema(AutoSchema):
    """One operation: an action of a view."""
