from django.db import migrations

from core.sql import FORBID_FUNCTION, ONLY_CHANGE_FUNCTION


class Migration(migrations.Migration):
    dependencies = [("core", "0001_installation")]

    operations = [
        migrations.RunSQL(FORBID_FUNCTION, "DROP FUNCTION core_forbid()"),
        migrations.RunSQL(ONLY_CHANGE_FUNCTION, "DROP FUNCTION core_only_change()"),
    ]
