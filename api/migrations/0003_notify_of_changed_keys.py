from django.db import migrations

from core.sql import NOTIFY_FUNCTION, notify_change


class Migration(migrations.Migration):
    dependencies = [("api", "0002_rights_of_api_keys")]

    operations = [
        migrations.RunSQL(NOTIFY_FUNCTION, "DROP FUNCTION core_notify_change()"),
        # Everything about a key but when it was used last.
        migrations.RunSQL(
            notify_change("api_apikey", when="to_jsonb(OLD) - 'last_used_at' IS DISTINCT FROM to_jsonb(NEW) - 'last_used_at'"),
            "DROP TRIGGER api_apikey_notify_update ON api_apikey;"
            " DROP TRIGGER api_apikey_notify_other ON api_apikey",
        ),
    ]
