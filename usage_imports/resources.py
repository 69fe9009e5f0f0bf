"""The objects of this app, as the API knows them."""

from api.resources import Resource, register
from usage_imports.models import UsageImport
from usage_imports.serializers import ImportObject

USAGE_IMPORT = register(
    Resource(
        name="billing.usage_import",
        kind="usage import",
        path="/v1/billing/usage_imports",
        model=UsageImport,
        serializer=ImportObject,
        related=("user",),
    )
)
