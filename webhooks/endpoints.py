"""How endpoints are made, changed, switched off and on, and taken away; and their secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from api.metadata import Given, merge
from api.middleware import API_VERSION
from core import secrecy
from core.errors import InvalidRequest
from core.ids import new_id
from webhooks.addresses import target_of
from webhooks.delivery_models import Delivery
from webhooks.endpoint_models import EVERYTHING, Endpoint, SigningSecret
from webhooks.event_types import SNAPSHOT_TYPES, THIN_TYPES
from webhooks.signatures import new_secret

MOST_ENDPOINTS = 16
LONGEST_OVERLAP = timedelta(hours=24)


class InvalidEndpoint(InvalidRequest):
    """No such endpoint can be."""


@dataclass(frozen=True)
class EndpointSpec:
    """A new endpoint. param: how the caller names the URL."""

    url: str
    enabled_events: Sequence[str]
    payload: str = Endpoint.Payload.SNAPSHOT
    is_destination: bool = False
    name: str = ""
    description: str = ""
    metadata: Given = None
    url_param: str = "url"


def create_endpoint(spec: EndpointSpec, *, at: datetime) -> tuple[Endpoint, str]:
    """Make an endpoint; the second value is its secret, which is not told again.

    Raises: InvalidEndpoint, InvalidUrl, InvalidMetadata. Locks: the making of endpoints.
    """
    target_of(spec.url, param=spec.url_param)
    row = Endpoint(
        id=new_id("ed" if spec.is_destination else "we"),
        is_destination=spec.is_destination,
        url=spec.url,
        payload=spec.payload,
        name=spec.name,
        description=spec.description,
        metadata=merge({}, spec.metadata),
        created_at=at,
        updated_at=at,
    )
    row.api_version = "" if row.is_thin else API_VERSION
    row.enabled_events = _checked_types(row, spec.enabled_events)
    with transaction.atomic():
        with connection.cursor() as cursor:  # so that two cannot both be the last one
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('webhooks_endpoint'))")
        if Endpoint.objects.kept().count() >= MOST_ENDPOINTS:
            raise InvalidEndpoint(f"There can be at most {MOST_ENDPOINTS} webhook endpoints.")
        row.save(force_insert=True)
        return row, _new_secret(row, at)


def update_endpoint(
    endpoint: Endpoint, changes: Mapping[str, Any], *, at: datetime, url_param: str = "url"
) -> Endpoint:
    """Change what is given of: url, enabled_events, name, description, metadata, disabled.

    Raises: InvalidEndpoint, InvalidUrl, InvalidMetadata. Locks: the endpoint.
    """
    with transaction.atomic():
        row = lock_endpoint(endpoint.pk)
        given = dict(changes)
        if "url" in given:
            target_of(given["url"], param=url_param)
        if "enabled_events" in given:
            given["enabled_events"] = _checked_types(row, given["enabled_events"])
        if "metadata" in given:
            given["metadata"] = merge(row.metadata, given["metadata"])
        disabled = given.pop("disabled", None)
        for name, value in given.items():
            setattr(row, name, value)
        if disabled is not None and disabled == row.is_enabled:
            _switch(row, Endpoint.Reason.USER if disabled else "", at)
        row.updated_at = at
        row.save(force_update=True)
    return row


def enable_endpoint(endpoint: Endpoint, *, at: datetime) -> Endpoint:
    """Send to it again, what is pending first. Idempotent."""
    return update_endpoint(endpoint, {"disabled": False}, at=at)


def disable_endpoint(endpoint: Endpoint, *, at: datetime, reason: str = Endpoint.Reason.USER) -> Endpoint:
    """Send nothing to it from now on; what is pending stays so. Idempotent: the first reason stands."""
    with transaction.atomic():
        row = lock_endpoint(endpoint.pk)
        if row.is_enabled:
            _switch(row, reason, at)
            row.updated_at = at
            row.save(force_update=True)
    return row


def delete_endpoint(endpoint: Endpoint, *, at: datetime) -> None:
    """Take it away; what is pending is canceled, what was sent stays in the log. Its secrets are forgotten."""
    with transaction.atomic():
        row = lock_endpoint(endpoint.pk)
        if row.deleted_at is None:
            row.deleted_at = row.updated_at = at
            row.save(force_update=True)
            row.secrets.all().delete()
            due = Delivery.objects.filter(endpoint=row, next_attempt_at__isnull=False)
            due.filter(status=Delivery.Status.PENDING).update(status=Delivery.Status.CANCELED, next_attempt_at=None)
            due.update(next_attempt_at=None)


def roll_secret(endpoint: Endpoint, overlap: timedelta, *, at: datetime) -> str:
    """Make another secret; the old one signs beside it for `overlap`. Two within that time leave three, and so on.

    Raises: InvalidEndpoint. Locks: the endpoint.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        hours = LONGEST_OVERLAP // timedelta(hours=1)
        raise InvalidEndpoint(f"An old secret can be used for at most {hours} more hours.", param="expires_in")
    with transaction.atomic():
        row = lock_endpoint(endpoint.pk)
        row.secrets.filter(expires_at=None).update(expires_at=at + overlap)
        row.secrets.filter(expires_at__lte=at).delete()
        return _new_secret(row, at)


def lock_endpoint(id: str) -> Endpoint:
    """The row, locked until the transaction ends; events can still be put into the outbox for it."""
    return Endpoint.objects.select_for_update(no_key=True).get(pk=id)


def _switch(row: Endpoint, reason: str, at: datetime) -> None:
    """Off for a reason, or on again for none."""
    row.status = Endpoint.Status.DISABLED if reason else Endpoint.Status.ENABLED
    row.disabled_reason, row.disabled_at = reason, at if reason else None
    row.failing_since = None


def _new_secret(row: Endpoint, at: datetime) -> str:
    secret = new_secret()
    SigningSecret.objects.create(endpoint=row, sealed=secrecy.seal(secret), created_at=at)
    return secret


def _checked_types(row: Endpoint, types: Sequence[str]) -> list[str]:
    """The types without repetition, all of them known. Raises: InvalidEndpoint."""
    known = {EVERYTHING, *(THIN_TYPES if row.is_thin else SNAPSHOT_TYPES)}
    for place, type in enumerate(types):
        if type not in known:
            kind = "thin" if row.is_thin else "snapshot"
            raise InvalidEndpoint(f"There is no {kind} event of this type.", param=f"enabled_events[{place}]")
    if not types:
        raise InvalidEndpoint("Name at least one type of event, or '*'.", param="enabled_events")
    return list(dict.fromkeys(types))
