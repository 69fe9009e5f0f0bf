"""The objects of this app, as the API knows them."""

from alerts.models import Alert, AlertTriggered
from alerts.serializers import AlertObject, AlertTriggeredObject
from api.resources import Resource, register

ALERT = register(
    Resource(
        name="billing.alert",
        kind="alert",
        path="/v1/billing/alerts",
        model=Alert,
        serializer=AlertObject,
        expandable={"usage_threshold.meter": "billing.meter", "usage_threshold.filters.customer": "customer"},
        visible=lambda rows: rows.listed(),
    )
)
# What has been told of an alert stays when it is archived.
TRIGGERED = register(
    Resource(
        name="billing.alert_triggered",
        kind="triggered alert",
        path="/v1/billing/alerts",
        model=AlertTriggered,
        serializer=AlertTriggeredObject,
        expandable={"customer": "customer"},
        nested={"alert": "billing.alert"},
        related=("alert",),
    )
)
