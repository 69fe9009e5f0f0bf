"""Records what has happened, in the transaction in which it happens."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api.resources import Resource
from webhooks.models import ThinEvent


def record_thin_event(
    type: str,
    *,
    at: datetime,
    related: tuple[Resource, str] | None = None,
    data: Mapping[str, Any] | None = None,
    reason: Mapping[str, Any] | None = None,
) -> ThinEvent:
    """Write down an event of `type`; it is there if and only if the caller's transaction commits.

    related: the kind and the id of the object that it is about. data: what events of this type say, as JSON.
    reason: as on the wire, `{"type": "request", "request": {"id", "idempotency_key"}}`; None if no request caused it.
    Not idempotent: who must record once marks what was told in the same transaction.
    """
    columns = {}
    if related is not None:
        resource, id = related
        columns = {"related_id": id, "related_type": resource.name, "related_url": f"{resource.path}/{id}"}
    return ThinEvent.objects.create(
        type=type,
        created_at=at.replace(microsecond=at.microsecond // 1000 * 1000),
        data=data,
        reason=reason,
        **columns,
    )
