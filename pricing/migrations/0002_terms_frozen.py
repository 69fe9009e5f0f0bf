from django.db import migrations

from core.sql import append_only, only_change


class Migration(migrations.Migration):
    dependencies = [("pricing", "0001_initial"), ("core", "0002_guards")]

    operations = [
        migrations.RunSQL(
            only_change("pricing_price", "active", "nickname", "lookup_key", "metadata", "tax_behavior"),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            append_only("pricing_pricetier", "the terms of a price never change"), migrations.RunSQL.noop
        ),
    ]
