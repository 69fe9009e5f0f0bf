import core.ids
from django.db import migrations, models
from django.db.models import Q

from core.sql import append_only


class Migration(migrations.Migration):

    initial = True

    dependencies = [("core", "0002_guards")]

    operations = [
        migrations.CreateModel(
            name="ThinEvent",
            fields=[
                ("id", core.ids.IdField(db_collation="C", editable=False, max_length=64, prefix="evt", primary_key=True, serialize=False)),
                ("type", models.CharField(help_text="E.g. v1.billing.meter.error_report_triggered.", max_length=100)),
                ("created_at", models.DateTimeField(editable=False)),
                ("related_id", models.CharField(blank=True, editable=False, max_length=255)),
                ("related_type", models.CharField(blank=True, editable=False, max_length=100)),
                ("related_url", models.CharField(blank=True, editable=False, max_length=500)),
                ("data", models.JSONField(editable=False, help_text="What events of this type say beside the object.", null=True)),
                ("reason", models.JSONField(editable=False, help_text="The request that caused it; none: a process did.", null=True)),
            ],
            options={
                "verbose_name": "thin event",
                "ordering": ("-created_at", "-id"),
                "indexes": [
                    models.Index(fields=["-created_at", "-id"], name="thin_event_newest"),
                    models.Index(fields=["related_id", "-created_at"], name="thin_event_of_object"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(related_id="", related_type="", related_url="")
                        | ~(Q(related_id="") | Q(related_type="") | Q(related_url="")),
                        name="thin_event_related_object_whole",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            append_only("webhooks_thinevent", "thin events are append-only"), migrations.RunSQL.noop
        ),
    ]
