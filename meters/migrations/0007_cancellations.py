from django.db import migrations, models

import core.ids
import core.sql


class Migration(migrations.Migration):
    dependencies = [("meters", "0006_events_with_dimensions")]

    operations = [
        migrations.CreateModel(
            name="EventCancellation",
            fields=[
                ("id", core.ids.IdField(prefix="mtr_event_adj", primary_key=True, serialize=False)),
                ("ident", models.UUIDField()),
                ("epoch", models.SmallIntegerField()),
                ("customer_ref", models.IntegerField()),
                ("meter_ref", models.IntegerField()),
                ("timestamp", models.DateTimeField(help_text="When the event happened.")),
                ("cancelled_at", models.DateTimeField(db_default=core.sql.ClockTimestamp())),
                ("txid", core.sql.TransactionIdField(db_default=core.sql.CurrentTransaction(), editable=False)),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["customer_ref", "meter_ref", "timestamp"], name="cancellation_by_customer")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=["ident", "epoch"], name="event_cancelled_once")
                ],
            },
        ),
        migrations.RunSQL(core.sql.append_only("meters_eventcancellation", "a cancellation stands")),
    ]
