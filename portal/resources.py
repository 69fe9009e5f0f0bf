"""The object of this app, as the API knows it."""

from api.resources import Resource, register
from portal.models import PortalSession
from portal.serializers import SessionObject

SESSION = register(
    Resource(
        name="billing_portal.session",
        kind="billing portal session",
        path="/v1/billing_portal/sessions",
        model=PortalSession,
        serializer=SessionObject,
    )
)
