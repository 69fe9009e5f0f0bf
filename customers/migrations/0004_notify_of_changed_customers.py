from django.db import migrations

from core.sql import notify_change


class Migration(migrations.Migration):
    dependencies = [("customers", "0003_aliases"), ("api", "0003_notify_of_changed_keys")]

    operations = [
        # What decides whose an event is and by which time; not names, prefixes, sequences.
        migrations.RunSQL(
            notify_change("customers_customer", when="(OLD.deleted_at, OLD.test_clock_id, OLD.ref)"
                " IS DISTINCT FROM (NEW.deleted_at, NEW.test_clock_id, NEW.ref)"),
            "DROP TRIGGER customers_customer_notify_update ON customers_customer;"
            " DROP TRIGGER customers_customer_notify_other ON customers_customer",
        ),
        # A name that passes to another customer is deleted first, or changed.
        migrations.RunSQL(
            notify_change("customers_customeralias"),
            "DROP TRIGGER customers_customeralias_notify_update ON customers_customeralias;"
            " DROP TRIGGER customers_customeralias_notify_other ON customers_customeralias",
        ),
    ]
