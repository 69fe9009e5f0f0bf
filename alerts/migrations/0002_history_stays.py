from django.db import migrations

from core.sql import only_change

TABLE = "alerts_alerttriggered"


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_alerts"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(
            only_change(TABLE, "seen_at", "seen_by"),
            f"DROP TRIGGER {TABLE}_frozen ON {TABLE}",
        ),
        migrations.RunSQL(
            f"""
            CREATE TRIGGER {TABLE}_kept BEFORE DELETE ON {TABLE}
                FOR EACH ROW EXECUTE FUNCTION core_forbid('that an alert fired stays');
            CREATE TRIGGER {TABLE}_no_truncate BEFORE TRUNCATE ON {TABLE}
                FOR EACH STATEMENT EXECUTE FUNCTION core_forbid('that an alert fired stays');
            """,
            f"DROP TRIGGER {TABLE}_kept ON {TABLE}; DROP TRIGGER {TABLE}_no_truncate ON {TABLE}",
        ),
    ]
