from django.db import migrations

from core.sql import append_only, only_change


class Migration(migrations.Migration):
    dependencies = [("meters", "0001_initial"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(
            append_only("meters_meterevent", "events are append-only"), migrations.RunSQL.noop
        ),
        migrations.RunSQL(
            only_change("meters_meter", "display_name", "status", "deactivated_at", "updated_at"),
            migrations.RunSQL.noop,
        ),
        # An event table only grows; let autovacuum keep its visibility map fresh by rows, not by share.
        migrations.RunSQL(
            "ALTER TABLE meters_meterevent SET (autovacuum_vacuum_insert_scale_factor = 0,"
            " autovacuum_vacuum_insert_threshold = 200000)",
            migrations.RunSQL.noop,
        ),
    ]
