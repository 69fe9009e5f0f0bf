"""Imports on the wire."""

from api import objects, params
from api.params import ListParams, Params
from usage_imports.models import UsageImport


class CreateImport(Params):
    file_name = params.String(max_length=255)
    format = params.Choice(UsageImport.Format)
    dry_run = params.Boolean(default=False)
    size = params.Integer(minimum=0)


class AppendContent(Params):
    offset = params.Integer(minimum=0, required=True)


class ListImports(ListParams):
    created = params.TimeRange()
    status = params.Choice(UsageImport.Status)


class CountsObject(objects.Object):
    stored = objects.Integer()
    duplicate = objects.Integer()
    conflict = objects.Integer()
    rejected = objects.Integer()


class CreatedByObject(objects.Object):
    """An API key by its id, or a user of the admin by name; null for the command line of the server."""

    type = objects.Text(source="creator_type")
    id = objects.Text(source="creator")


class StatusTransitionsObject(objects.Object):
    received_at = objects.UnixTime()
    started_at = objects.UnixTime()
    finished_at = objects.UnixTime()


class ImportObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.usage_import")
    counts = CountsObject(source="*")
    created = objects.UnixTime(source="created_at")
    created_by = CreatedByObject(source="*")
    dry_run = objects.Boolean()
    failed_message = objects.Text()
    failed_reason = objects.Text()
    file_hash = objects.Text()
    file_name = objects.Text()
    format = objects.Text()
    livemode = objects.Livemode()
    processed_bytes = objects.Integer()
    progress = objects.Integer()
    rows = objects.Integer()
    size = objects.Integer()
    status = objects.Text()
    status_transitions = StatusTransitionsObject(source="*")
    uploaded_bytes = objects.Integer()
