from django.db import migrations

from core.sql import notify_change


class Migration(migrations.Migration):
    dependencies = [("meters", "0009_archive"), ("customers", "0004_notify_of_changed_customers")]

    operations = [
        migrations.RunSQL(
            notify_change("meters_meter", on_insert=True),
            "DROP TRIGGER meters_meter_notify_update ON meters_meter;"
            " DROP TRIGGER meters_meter_notify_other ON meters_meter",
        ),
    ]
