import core.ids
from django.db import migrations, models

from core.sql import append_only


class Migration(migrations.Migration):

    dependencies = [("webhooks", "0001_thin_events")]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", core.ids.IdField(db_collation="C", editable=False, max_length=64, prefix="evt", primary_key=True, serialize=False)),
                ("type", models.CharField(db_collation="C", editable=False, max_length=100)),
                ("created_at", models.DateTimeField(editable=False)),
                ("api_version", models.CharField(editable=False, max_length=30)),
                ("object_id", models.CharField(blank=True, editable=False, help_text="Empty: it has none.", max_length=255)),
                ("data", models.JSONField(editable=False, help_text="The object, and the former values of what was changed.")),
                ("request_id", models.CharField(editable=False, max_length=64, null=True)),
                ("idempotency_key", models.CharField(editable=False, max_length=255, null=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [
                    models.Index(fields=["type", "-id"], name="event_of_type"),
                    models.Index(fields=["object_id", "-id"], name="event_of_object"),
                    models.Index(fields=["created_at"], name="event_by_time"),
                ],
            },
        ),
        migrations.RunSQL(append_only("webhooks_event", "events are append-only"), migrations.RunSQL.noop),
    ]
